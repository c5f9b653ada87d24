"""The Vectis analytics API: shapes and endpoints."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

from msgspec import Struct

from postmeter.shared.apis.document import Document, Problem
from postmeter.shared.apis.endpoint import Caching, Day, Endpoint, Limit, Service, Timestamp, described, one_of
from postmeter.shared.errors import RequestError
from postmeter.shared.text.stamps import stamp

OPEN_PATH = "/api/v1/track/open/"
CLICK_PATH = "/api/v1/track/click/"


class Meta(Struct):
    """Beside every answer of Vectis."""

    request_id: str
    timestamp: Timestamp

    @classmethod
    def of(cls, request_id: str) -> Meta:
        """That of this moment."""
        return cls(request_id, stamp(datetime.now(UTC)))


class StampedError(Struct):
    """Every error of Vectis."""

    error: Problem
    meta: Meta

    @classmethod
    def of(cls, error: RequestError, request_id: str) -> StampedError:
        """The error in this shape."""
        return cls(Problem(error.code, error.message), Meta.of(request_id))


DOCUMENT = Document(
    name="Vectis",
    about="Mail volume by domain, and the tracking URLs. Rates in percent.",
    paths=("/api/",),
    error=StampedError,
)


class AnalyticsParameters(Struct):
    """Query of GET /api/v1/analytics."""

    period: Annotated[str, one_of("1h", "24h", "7d", "30d"), described("Time window.")] = "24h"
    granularity: Annotated[str, one_of("hourly", "daily"), described("Only used when domain_id is set.")] = "hourly"
    domain_id: Annotated[str | None, described("One domain's series instead of all domains' totals.")] = None


class Totals(Struct):
    """Counts of a window, with rates in percent."""

    sent: int
    received: int
    bounced: int
    spam: int
    failed: int
    size_bytes: int
    bounce_rate: Decimal
    spam_rate: Decimal


class DomainTotals(Struct):
    """Counts of one domain."""

    domain_id: str
    domain_name: str
    sent: int
    received: int
    bounced: int
    spam: int
    failed: int
    size_bytes: int


class AllDomains(Struct):
    """The aggregate of all domains."""

    period: str
    totals: Totals
    domains: list[DomainTotals]


class Point(Struct, omit_defaults=True, kw_only=True):
    """One bucket: `timestamp` where hourly, `date` where daily."""

    timestamp: Timestamp | None = None
    date: Day | None = None
    sent: int
    received: int
    bounced: int
    spam: int
    failed: int
    size_bytes: int


class OneDomain(Struct):
    """The series of one domain."""

    domain_id: str
    period: str
    granularity: str
    stats: list[Point]


class AllDomainsAnswer(Struct):
    """GET /api/v1/analytics without domain_id."""

    data: AllDomains
    meta: Meta


class OneDomainAnswer(Struct):
    """GET /api/v1/analytics with domain_id."""

    data: OneDomain
    meta: Meta


class TrackingStats(Struct):
    """Live counters."""

    opens: int
    unique_opens: int
    clicks: int
    unique_clicks: int
    machine_opens: int
    machine_clicks: int
    since: Timestamp


class TrackingStatsAnswer(Struct):
    """GET /api/v1/tracking/stats."""

    data: TrackingStats
    meta: Meta


class ClickParameters(Struct):
    """Query of a click."""

    url: Annotated[str, described("Where it leads; bound by the token.")]


ENDPOINTS = (
    Endpoint(
        method="GET",
        path=OPEN_PATH + "{token}",
        document=DOCUMENT,
        service=Service.TRACKING,
        summary="A mail's tracking pixel",
        media="image/gif",
    ),
    Endpoint(
        method="GET",
        path=CLICK_PATH + "{token}",
        document=DOCUMENT,
        service=Service.TRACKING,
        summary="A mail's tracked link",
        parameters=ClickParameters,
        status=302,
        media="text/html",
    ),
    Endpoint(
        method="GET",
        path="/api/v1/analytics",
        document=DOCUMENT,
        service=Service.QUERY,
        summary="Mail volume of all domains, or one domain's series",
        scope="analytics",
        limit=Limit.READ,
        parameters=AnalyticsParameters,
        answer=AllDomainsAnswer | OneDomainAnswer,
        failures=(404,),
        caching=Caching.BY_QUARTER_HOUR,
    ),
    Endpoint(
        method="GET",
        path="/api/v1/tracking/stats",
        caching=Caching.NEVER,  # of Redis, ahead of what is committed
        document=DOCUMENT,
        service=Service.QUERY,
        summary="Live totals of opens and clicks",
        scope="analytics",
        roles=("admin", "super_admin"),
        limit=Limit.READ,
        answer=TrackingStatsAnswer,
        failures=(400,),
    ),
)
