"""What an answer depends on beside its workspace's version: the question, who may see what, and the clock.

Every endpoint of query-service stands in CLOCKS, so that a new one is thought about.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
from aiohttp import web

from postmeter.shared.apis import audit, consent, domains, exports, misar, recipients, workspace, workspaces
from postmeter.shared.apis.live import LIVE_ENDPOINT
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


_by_day = _by(timedelta(days=1))
_by_quarter = _by(timedelta(minutes=15))
_by_second = _by(timedelta(seconds=1))


def _by_second_without_range(request: web.Request, body: bytes, now: datetime) -> Hand | None:
    """Optail prints the ends of its range, to the second."""
    if "from" in request.query and "to" in request.query:
        return 0, 0
    return _by_second(request, body, now)


class _Range(msgspec.Struct):
    start: msgspec.Raw | None = msgspec.field(name="from", default=None)
    end: msgspec.Raw | None = msgspec.field(name="to", default=None)
    cursor: msgspec.Raw | None = None


def _by_second_without_whole_range(request: web.Request, body: bytes, now: datetime) -> Hand | None:
    """A search without a range ends an hour after this second."""
    try:
        given = msgspec.json.decode(body, type=_Range)
    except (ValueError, RecursionError):
        return None
    return (0, 0) if given.cursor or (given.start and given.end) else _by_second(request, body, now)


CLOCKS: dict[str, Reader | None] = {
    "/api/v1/analytics": _by_quarter,
    "/api/v1/tracking/stats": None,  # of Redis, ahead of what is committed
    domains.PATH: _at_any_time,
    "/v1/campaigns": _at_any_time,
    "/api/v1/mail/stats": _by_second,
    "/api/v1/mail/stats/daily": _by_day,
    "/v1/metrics": _by_second_without_range,
    "/v1/metrics/breakdown": _by_second_without_range,
    "/v1/metrics/summary": _by_second_without_range,
    "/v1/messages": _at_any_time,
    "/v1/messages/{id}": _at_any_time,
    "/v1/messages/{id}/events": _at_any_time,
    "/v1/messages/search": _by_second_without_whole_range,
    workspaces.BASE + "/campaigns/{campaignId}/analytics": _by_day,
    workspaces.BASE + "/analytics/overview": _by_day,
    workspaces.BASE + "/analytics/deliverability": _by_day,
    workspaces.BASE + "/analytics/engagement-heatmap": _by_day,
    workspaces.BASE + "/analytics/compare": _by_day,
    "/api/v1/analytics/overview": _by_day,
    "/api/v1/analytics/campaigns/{id}": _by_day,
    f"{misar.CLIENT_BASE}/analytics": _by_day,
    exports.EXPORT_PATH: None,  # it orders something
    exports.STATUS_PATH: None,  # what a worker writes, and no version tells
    exports.LATEST_PATH: None,
    exports.DOWNLOAD_PATH: None,
    LIVE_ENDPOINT.path: None,
    consent.PATH: None,
    recipients.EXPORT_PATH: None,  # it leaves an entry in the audit log
    audit.PATH: None,
    workspace.PATH: _at_any_time,
    "/v1/query": _by_quarter,
}
"""By the endpoint's path: how finely its good answer depends on the clock; None: it is not kept."""
