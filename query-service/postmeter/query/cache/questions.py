"""What an answer depends on beside its workspace's version: the question, who may see what, and the clock."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
from aiohttp import web

from postmeter.shared.apis.endpoint import Caching
from postmeter.shared.auth.principal import Principal

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Hand = tuple[int, int]
"""Where the clock stands, as finely as an answer depends on it: the last bucket begun and the first not yet over."""
Reader = Callable[[web.Request, bytes, datetime], Hand | None]


@dataclass(frozen=True)
class Question:
    """digest: of all that decides the answer but the data and the clock, which stands at `hand`."""

    digest: bytes
    hand: Hand


def of(request: web.Request, body: bytes, caller: Principal, now: datetime, clock: Reader) -> Question | None:
    """The question; None for one whose answer changes with every moment, which is not to be kept."""
    hand = clock(request, body, now)
    if hand is None:
        return None
    domains = None if caller.confined_to is None else list(caller.confined_to)
    who = msgspec.json.encode([caller.workspace, caller.workspace_id, caller.role, domains])
    hasher = hashlib.blake2b(digest_size=32)
    for part in (who, request.method.encode(), request.raw_path.encode("utf-8", "surrogateescape"), body):
        hasher.update(len(part).to_bytes(8, "big") + part)
    return Question(hasher.digest(), hand)


def _at_any_time(request: web.Request, body: bytes, now: datetime) -> Hand | None:
    return 0, 0


def _by(width: timedelta) -> Reader:
    def read(request: web.Request, body: bytes, now: datetime) -> Hand | None:
        # Windows that end now are widened outward: at a bucket's very first instant they are others than behind it.
        since = now - _EPOCH
        return since // width, -(-since // width)

    return read


_by_second = _by(timedelta(seconds=1))


class _Range(msgspec.Struct):
    """What a body says of its range, as every body that may have one takes it (SearchBody)."""

    start: str | None = msgspec.field(name="from", default=None)
    end: str | None = msgspec.field(name="to", default=None)
    cursor: str | None = None


def _by_second_without_range(request: web.Request, body: bytes, now: datetime) -> Hand | None:
    """A range that is not given whole ends at this second, or not long after it, and its ends are printed."""
    if request.method != "POST":
        return (0, 0) if "from" in request.query and "to" in request.query else _by_second(request, body, now)
    try:
        given = msgspec.json.decode(body, type=_Range)
    except (ValueError, RecursionError):
        return None
    return (0, 0) if given.cursor or (given.start and given.end) else _by_second(request, body, now)


CLOCKS: dict[Caching, Reader | None] = {
    Caching.NEVER: None,
    Caching.UNTIL_CHANGED: _at_any_time,
    Caching.BY_DAY: _by(timedelta(days=1)),
    Caching.BY_QUARTER_HOUR: _by(timedelta(minutes=15)),
    Caching.BY_SECOND: _by_second,
    Caching.BY_SECOND_WITHOUT_RANGE: _by_second_without_range,
}
"""How the clock is read for it; None: an answer is not kept."""
