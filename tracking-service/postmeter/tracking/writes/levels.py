"""The level at which a message is tracked, as workspace and recipient have decided when it is registered (ADR 0059)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from postmeter.shared.errors import RequestError
from postmeter.shared.privacy import ceilings
from postmeter.shared.privacy.levels import Ceilings, Choices, Decided, Levels
from postmeter.shared.process import logs
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.stream.records import Registration

REFRESH_SECONDS = 1.0
OPEN_CEILINGS = Ceilings()
"""Of a workspace that has said nothing."""


class LevelCeilings(NamedTuple):
    """What a workspace has said, and what its recipients have chosen, by their hashes."""

    ceilings: Ceilings
    choices: dict[str, Choices]

    def decide(self, record: Registration, own: Levels) -> Decided:
        """The levels of a message that may be tracked at most at `own`."""
        return self.ceilings.decide(record.from_domain, own, self.choices.get(record.to_hash, Choices()))


class MessageLevels:
    """What decides about messages. pool: None where Postgres is not configured: only the message's own level counts."""

    def __init__(self, pool: Pool | None) -> None:
        self._pool = pool
        self._said: dict[int, Ceilings] | None = None
        self._reading = asyncio.Lock()
        self._failure: str | None = None
        self._failures = logs.Seldom("levels of tracking cannot be read")
        self._choice_failures = logs.Seldom("recipients' choices cannot be read")

    def warning(self) -> str | None:
        """That what workspaces allow cannot be read from Postgres, while it is so."""
        if self._failure is None:
            return None
        return (
            f"what workspaces allow to be kept cannot be read: {self._failure}; registrations of those that have said"
            " anything are refused (503): bring Postgres back, or correct POSTMETER_POSTGRES_DSN"
        )

    async def run(self) -> None:
        """Keep up to date until cancelled."""
        task = asyncio.current_task()
        assert task is not None
        while self._pool is not None and not task.cancelling():
            await self._read(self._pool)
            await asyncio.sleep(REFRESH_SECONDS)

    async def _read(self, pool: Pool) -> None:
        try:
            self._said = await ceilings.read(pool)
            self._failure = None
        except Exception as error:  # whatever it is, of what was read before nothing has become wrong
            self._failure = logs.words(error)
            self._failures.note(error=self._failure)

    async def allowed(self, workspace: int, hashes: Callable[[], Awaitable[set[str]]]) -> LevelCeilings:
        """What workspace and recipients allow. Raises RequestError 503 where that cannot be known now.

        hashes: of the recipients; asked for only where anybody has said anything.
        """
        said = await self._of(workspace)
        return LevelCeilings(said, {} if said is OPEN_CEILINGS else await self._choices(workspace, await hashes()))

    async def _of(self, workspace: int) -> Ceilings:
        """What the workspace has said. Raises RequestError 503 where that has never been read."""
        if self._pool is None:
            return OPEN_CEILINGS
        async with self._reading:
            if self._said is None:
                await self._read(self._pool)
        if self._said is None:
            raise _unknown()
        return self._said.get(workspace, OPEN_CEILINGS)

    async def _choices(self, workspace: int, hashes: Iterable[str]) -> dict[str, Choices]:
        """What the workspace's recipients have chosen. Raises RequestError 503 where that cannot be read now.

        A level is never guessed; of a workspace that has said nothing, and of whose recipients none has, nobody asks.
        """
        if self._pool is None or not self._said or workspace not in self._said:
            return {}
        try:
            found = await ceilings.choices(self._pool, ((workspace, to_hash) for to_hash in hashes))
        except Exception as error:  # of the driver's and the event loop's, too, when a connection ends meanwhile
            self._choice_failures.note(error=logs.words(error))
            raise _unknown() from None
        return {to_hash: chosen for (_, to_hash), chosen in found.items()}


def _unknown() -> RequestError:
    message = "What this workspace's recipients allow cannot be looked up now; try again."
    return RequestError(503, "UNAVAILABLE", message, None, {"Retry-After": "1"})
