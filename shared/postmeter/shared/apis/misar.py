"""D4, the Misar analytics API: shapes and endpoints of its reads."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from msgspec import Struct, field

from postmeter.shared.apis.endpoint import Document, Endpoint, Limit, Service, Timestamp, described, one_of


class OverviewParameters(Struct):
    """Query of GET /api/v1/analytics/overview."""

    period: Annotated[str, one_of("7d", "30d", "90d")] = "30d"
    start: Annotated[str | None, described("Overrides period: a timestamp with a zone, or a date.")] = field(
        default=None, name="from"
    )
    end: Annotated[str | None, described("Overrides period; a date is its last instant.")] = field(
        default=None, name="to"
    )


class Period(Struct):
    """The window, both ends included."""

    start: Timestamp = field(name="from")
    end: Timestamp = field(name="to")


class OverviewMetrics(Struct):
    """Totals; rates are fractions with three decimals."""

    sends: int
    delivered: int
    opens: int
    unique_opens: int
    clicks: int
    unique_clicks: int
    bounces: int
    hard_bounces: int
    soft_bounces: int
    complaints: int
    unsubscribes: int
    open_rate: Decimal
    click_rate: Decimal
    bounce_rate: Decimal
    complaint_rate: Decimal


class OverviewAnswer(Struct):
    """GET /api/v1/analytics/overview."""

    success: bool
    period: Period
    metrics: OverviewMetrics


class Campaign(Struct):
    """The campaign itself. sent_at: when its first message was sent."""

    id: str
    name: str
    status: str
    sent_at: Timestamp | None


class CampaignMetrics(Struct):
    """Totals of the campaign's whole life."""

    total_recipients: int
    total_sent: int
    total_delivered: int
    total_opened: int
    total_clicked: int
    total_bounced: int
    total_complained: int
    total_unsubscribed: int
    open_rate: Decimal
    click_rate: Decimal
    bounce_rate: Decimal


class Hour(Struct):
    """Opens and clicks of one hour (UTC)."""

    hour: Timestamp
    opens: int
    clicks: int


class CampaignAnswer(Struct):
    """GET /api/v1/analytics/campaigns/{id}."""

    success: bool
    campaign: Campaign
    metrics: CampaignMetrics
    timeline: list[Hour]


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/analytics/overview",
        document=Document.D4,
        service=Service.QUERY,
        summary="Account-level metrics",
        scope="analytics",
        limit=Limit.READ,
        parameters=OverviewParameters,
        answer=OverviewAnswer,
    ),
    Endpoint(
        method="GET",
        path="/api/v1/analytics/campaigns/{id}",
        document=Document.D4,
        service=Service.QUERY,
        summary="One campaign's metrics and timeline",
        scope="analytics",
        limit=Limit.READ,
        answer=CampaignAnswer,
    ),
)
