"""Shows what was counted to those who are watching, and costs nothing where nobody is (ADR 0041)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
from redis.asyncio import Redis

from postmeter.aggregator.fold.changes import HISTORY, Changes
from postmeter.shared.storage.verdict_reasons import StoredVerdict, name_of
from postmeter.shared.stream import live_events, streams
from postmeter.shared.stream.live_events import LiveEvent
from postmeter.shared.stream.redis_clients import FAILURES

LOOK_SECONDS = 1.0
MOST = 200
"""How many events of one workspace one flush shows, the last ones: nobody can read more at once."""
TEXT_CHARS = 500
Shown = dict[int, list[LiveEvent]]
"""Events by workspace."""
Texts = Callable[[int | None, int | None], tuple[str | None, str | None]]
"""The URL of a link's number and the user agent of its number, where they are remembered."""
_PLACES = {name: HISTORY.index(name) for name in HISTORY}
_encode = msgspec.json.Encoder().encode


class Onlookers:
    """Which workspaces are watched, looked up once a second for the whole process."""

    def __init__(self) -> None:
        self.watched: frozenset[int] = frozenset()

    async def run(self, client: Redis, stop: asyncio.Event) -> None:
        """Keep `watched` up to date until `stop` is set. While Redis does not answer nobody watches."""
        while not stop.is_set():
            try:
                async with client.pipeline(transaction=False) as pipeline:
                    pipeline.time()
                    pipeline.zrange(streams.WATCHED, 0, -1, withscores=True)
                    (now, _), found = await pipeline.execute()
                self.watched = frozenset(int(workspace) for workspace, until in found if until > now)
            except (*FAILURES, ValueError):
                self.watched = frozenset()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)

    def of(self, changes: Changes, texts: Texts) -> Shown:
        """Those rows of the history whose workspaces were watched when they were folded."""
        shown: Shown = {}
        if changes.shown:
            for row in changes.history:
                if row[0] in changes.shown:
                    shown.setdefault(row[0], []).append(_event(row, texts))
        return shown


async def show(client: Redis, shown: Shown) -> None:
    """Add events that are committed. Showing them is not promised: where Redis fails they are not shown."""
    if not shown:
        return
    with suppress(*FAILURES):
        async with client.pipeline(transaction=False) as pipeline:
            for workspace, events in shown.items():
                for entry in _entries(events):
                    # Never a stream that nobody began: it would have no end.
                    pipeline.xadd(
                        streams.live_events(workspace),
                        entry,
                        maxlen=live_events.KEPT,
                        approximate=True,
                        nomkstream=True,
                    )
            await pipeline.execute()


def _entries(events: list[LiveEvent]) -> list[Any]:
    skipped = len(events) - MOST
    first = [{live_events.SKIPPED: str(skipped)}] if skipped > 0 else []
    return first + [{live_events.EVENT: _encode(event)} for event in events[-MOST:]]


def _event(row: tuple[Any, ...], texts: Texts) -> LiveEvent:
    message, verdict = row[_PLACES["message"]], row[_PLACES["verdict"]]
    url, user_agent = texts(row[_PLACES["link"]], row[_PLACES["user_agent_id"]])
    return LiveEvent(
        at=row[_PLACES["at"]],
        type=int(row[_PLACES["type"]]),
        message=None if message is None else str(message),
        series=row[_PLACES["series"]],
        bounce=row[_PLACES["bounce"]],
        verdict=None if verdict is None else verdict & StoredVerdict.MASK,
        verdict_reason=row[_PLACES["verdict_reason"]] or name_of(verdict),
        reason=_cut(row[_PLACES["reason"]]),
        url=_cut(row[_PLACES["url"]] or url),
        user_agent=_cut(row[_PLACES["user_agent"]] or user_agent),
        counted=row[_PLACES["counted"]] is None,
    )


def _cut(text: str | None) -> str | None:
    return text if text is None else text[:TEXT_CHARS]
