"""The Krafter statistics API: shapes and endpoints."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from postmeter.shared.apis.document import Document, PlainError
from postmeter.shared.apis.endpoint import Caching, Day, Endpoint, Limit, Service, Timestamp, described

DOCUMENT = Document(
    name="Krafter",
    about="Messages by their present state.",
    paths=("/api/v1/mail/",),
    error=PlainError,
)
STATUSES = ("queued", "sent", "delivered", "bounced", "complained", "failed")
"""In the order in which they are printed. They exclude each other."""


class StatsParameters(Struct):
    """Query of GET /api/v1/mail/stats."""

    period: Annotated[str, described("1d, 7d, 30d or 90d; any other value falls back to 7d.")] = "7d"


class DailyParameters(Struct):
    """Query of GET /api/v1/mail/stats/daily."""

    days: Annotated[str, described("Days to look back, at most 365.", type="integer", minimum=1)] = "30"


class ByStatus(Struct, omit_defaults=True):
    """Messages by present state; only states that some message has."""

    queued: int = 0
    sent: int = 0
    delivered: int = 0
    bounced: int = 0
    complained: int = 0
    failed: int = 0


class Stats(Struct):
    """Messages created since a moment."""

    period: str
    since: Timestamp
    total: int
    by_status: ByStatus


class StatsAnswer(Struct):
    """GET /api/v1/mail/stats."""

    data: Stats


class DayRow(Struct):
    """Messages created on one UTC day by present state."""

    date: Day
    queued: int
    sent: int
    delivered: int
    bounced: int
    complained: int
    failed: int


class DailyAnswer(Struct):
    """GET /api/v1/mail/stats/daily."""

    data: list[DayRow]


def _endpoint(path: str, summary: str, parameters: object, answer: object, caching: Caching) -> Endpoint:
    return Endpoint(
        method="GET",
        path=path,
        document=DOCUMENT,
        service=Service.QUERY,
        summary=summary,
        scope="mail:read",
        limit=Limit.READ,
        parameters=parameters,
        answer=answer,
        caching=caching,
    )


ENDPOINTS = (
    _endpoint(
        "/api/v1/mail/stats", "Messages of a rolling period by state", StatsParameters, StatsAnswer, Caching.BY_SECOND
    ),
    _endpoint("/api/v1/mail/stats/daily", "Messages by day and state", DailyParameters, DailyAnswer, Caching.BY_DAY),
)
