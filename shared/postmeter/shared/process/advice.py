"""What a person should look at although all requests are answered: warnings in the log and in /readyz (ops.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, get_args

from postmeter.shared.process import logs

Topic = Literal[
    "aggregator",
    "clock",
    "disk",
    "internal_secret",
    "postgres",
    "recipient_hash_key",
    "redis",
    "replicas",
    "shards",
    "source_key",
    "spool",
    "token_keys",
    "trusted_hops",
]
"""What there may be to say something of; the runbook of PostmeterWarns (operating.md) says what each means."""
WARNINGS: tuple[Topic, ...] = get_args(Topic)
Look = Callable[[], Awaitable[str | None]]
"""Returns a sentence that says what is wrong and what to do, or None. Raises where it cannot be told now."""
AGAIN_SECONDS = 300.0
"""Between two looks: what is looked at may change while a service runs."""
SOON_SECONDS = 15.0
"""After a look that found something: what has been mended, or was so only at start, is not to be warned of for long."""
RETRY_SECONDS = 2.0
"""After a look that failed, as while a store is away, which /readyz reports by its checks."""
LOOK_SECONDS = 10.0


class Advice:
    """Looks at several things now and then. Each sentence is logged when it is new, and stays until a look finds none.

    known: what needs no look, for it is known at any moment.
    """

    def __init__(
        self, looks: Mapping[Topic, Look], known: Mapping[Topic, Callable[[], str | None]] | None = None
    ) -> None:
        self._looks = looks
        self._known = known or {}
        self._said: dict[Topic, str | None] = dict.fromkeys(looks)

    def now(self) -> dict[Topic, str | None]:
        """By name, what there is to say at the moment."""
        return self._said | {name: tell() for name, tell in self._known.items()}

    async def run(self) -> None:
        """Look until cancelled."""
        await asyncio.gather(*(self._keep_looking(name, look) for name, look in self._looks.items()))

    async def _keep_looking(self, name: Topic, look: Look) -> None:
        task = asyncio.current_task()
        assert task is not None
        # Redis' client may make another error of a cancellation that meets a connection which is just closed.
        while not task.cancelling():
            try:
                said = await asyncio.wait_for(look(), LOOK_SECONDS)
            except Exception as error:
                logs.get().debug("a look could not be taken", look=name, error=logs.words(error))
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if said is not None and said != self._said[name]:
                logs.get().warning(said, warning=name)
            self._said[name] = said
            await asyncio.sleep(AGAIN_SECONDS if said is None else SOON_SECONDS)
