"""What a webhook's source brought last, for a person who asks why its numbers stand still: its deliveries, those that
were not taken, and the items that were not understood, a bounded number of each, in Redis.

Written in passing by tracking-service and the aggregator, and never in the way of a delivery: what cannot be written
is missing here. It counts nothing. Addresses are masked, and other people's text is cleaned and cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from redis.asyncio import Redis

from postmeter.shared.process import logs
from postmeter.shared.stream import streams
from postmeter.shared.stream.redis_clients import FAILURES
from postmeter.shared.text import hosts
from postmeter.shared.text.masking import masked
from postmeter.shared.text.quoting import clean

KEPT = {"taken": 20, "refused": 20, "unread": 50}
"""How many of each are kept of one source."""
KEPT_SECONDS = 90 * 86_400
_REASON_CHARS = 500
_ITEM_CHARS = 2_000


class Delivery(msgspec.Struct, frozen=True, array_like=True):
    """One call of a webhook. at: microseconds since 1970. error: why it was not taken; empty: it was.

    events: how many it reported; unread: how many of its items were not understood.
    """

    at: int
    events: int = 0
    unread: int = 0
    error: str = ""


class Unread(msgspec.Struct, frozen=True, array_like=True):
    """An item that could not be counted. at: microseconds since 1970. why: the reason. item: its beginning."""

    at: int
    why: str
    item: str

    @classmethod
    def of(cls, at: int, why: str, item: bytes) -> Unread:
        """An item as it came."""
        return cls(at, why, item[: 4 * _ITEM_CHARS].decode("utf-8", "replace"))


class History(msgspec.Struct, frozen=True):
    """The latest first. taken: deliveries that were taken; refused: those that were not."""

    taken: list[Delivery] = []
    refused: list[Delivery] = []
    unread: list[Unread] = []

    @property
    def last_error(self) -> Delivery | Unread | None:
        """What went wrong last; None if nothing has."""
        latest: list[Delivery | Unread] = [*self.refused[:1], *self.unread[:1]]
        return max(latest, key=lambda one: one.at, default=None)


_encoder = msgspec.msgpack.Encoder()
_deliveries = msgspec.msgpack.Decoder(Delivery)
_unread = msgspec.msgpack.Decoder(Unread)


async def note_delivery(redis: Redis, source: str, delivery: Delivery, unread: Sequence[Unread] = ()) -> None:
    """Remember a delivery of a source, and its items that were not understood. Never raises for Redis' sake."""
    kind = "refused" if delivery.error else "taken"
    shown = msgspec.structs.replace(delivery, error=_shown(delivery.error, _REASON_CHARS))
    await _push(redis, source, {kind: [_encoder.encode(shown)], "unread": _items(unread)})


async def note_unread(redis: Redis, source: str, unread: Sequence[Unread]) -> None:
    """Remember items that turned out later to be of no use, such as a bounce of an address that nothing was sent to."""
    await _push(redis, source, {"unread": _items(unread)})


async def history(redis: Redis, source: str) -> History:
    """All that is kept of a source. Raises one of FAILURES."""
    found = await _read(redis, [source], -1)
    return found[source]


async def last(redis: Redis, sources: Sequence[str]) -> dict[str, History]:
    """The latest of each kind of several sources. Raises one of FAILURES."""
    return await _read(redis, sources, 0)


def _items(unread: Sequence[Unread]) -> list[bytes]:
    return [
        _encoder.encode(Unread(one.at, _shown(one.why, _REASON_CHARS), _shown(_without_clients(one.item), _ITEM_CHARS)))
        for one in unread[-KEPT["unread"] :]
    ]


def _shown(text: str, limit: int) -> str:
    return clean(masked(text, limit), limit)


def _without_clients(item: str) -> str:
    """What a provider reports of readers holds their IP addresses; nothing of these is kept here."""
    return hosts.without_hosts(item.encode(), hosts.no_network).decode("utf-8", "replace")


async def _push(redis: Redis, source: str, found: dict[str, list[bytes]]) -> None:
    try:
        async with redis.pipeline(transaction=False) as pipeline:
            for kind, entries in found.items():
                if entries:
                    key = streams.source_log(source, kind)
                    pipeline.lpush(key, *entries)
                    pipeline.ltrim(key, 0, KEPT[kind] - 1)
                    pipeline.expire(key, KEPT_SECONDS)
            await pipeline.execute()
    except FAILURES as error:
        logs.get().debug("a source's delivery is not remembered", source=source, error=logs.words(error))


async def _read(redis: Redis, sources: Iterable[str], end: int) -> dict[str, History]:
    wanted = list(sources)
    async with redis.pipeline(transaction=False) as pipeline:
        for source in wanted:
            for kind in KEPT:
                pipeline.lrange(streams.source_log(source, kind), 0, end)
        lists = iter(await pipeline.execute()) if wanted else iter(())
    found = {}
    for source in wanted:
        taken, refused, unread = next(lists), next(lists), next(lists)
        found[source] = History(
            [_deliveries.decode(one) for one in taken],
            [_deliveries.decode(one) for one in refused],
            [_unread.decode(one) for one in unread],
        )
    return found
