"""Workspaces, the workspace analytics API: shapes and endpoints."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from msgspec import Struct, field

from postmeter.shared.apis.document import Document, Problem
from postmeter.shared.apis.documents.comparison import DEFAULT_RATES, RATES, CompareAnswer
from postmeter.shared.apis.documents.deliverability import DeliverabilityAnswer
from postmeter.shared.apis.documents.heatmap import HeatmapAnswer
from postmeter.shared.apis.endpoint import Caching, Day, Endpoint, Limit, Service, Timestamp, described, one_of
from postmeter.shared.errors import RequestError

_START = described("First day of a custom range, or its first instant.")
_END = described("Last day of a custom range, or its last instant.")


class OverviewParameters(Struct):
    """Query of the overview. Dates given without timeRange mean `custom`."""

    time_range: Annotated[str | None, one_of("7d", "30d", "90d", "custom")] = field(default=None, name="timeRange")
    start_date: Annotated[str | None, _START] = field(default=None, name="startDate")
    end_date: Annotated[str | None, _END] = field(default=None, name="endDate")


class CampaignParameters(OverviewParameters):
    """Query of a campaign's analytics."""

    group_by: Annotated[str, one_of("day", "week", "month")] = field(default="day", name="groupBy")


class DeliverabilityParameters(Struct):
    """Query of the deliverability analytics."""

    time_range: Annotated[str, one_of("7d", "30d", "90d")] = field(default="30d", name="timeRange")
    campaign_id: str | None = field(default=None, name="campaignId")
    domain_id: str | None = field(default=None, name="domainId")


class HeatmapParameters(Struct):
    """Query of the engagement heatmap."""

    time_range: Annotated[str, one_of("30d", "90d")] = field(default="30d", name="timeRange")
    campaign_id: str | None = field(default=None, name="campaignId")
    timezone: Annotated[str | None, described("IANA zone. Default: the workspace's.")] = None


class TimeRange(Struct):
    """A window, both ends included."""

    start: Timestamp
    end: Timestamp
    period: str


class CampaignSummary(Struct):
    """Counts of a campaign. Opened, clicked, replied and unsubscribed: each message once."""

    emails_sent: int
    emails_delivered: int
    emails_bounced: int
    emails_opened: int
    emails_clicked: int
    emails_replied: int
    spam_complaints: int
    unsubscribes: int


class CampaignRates(Struct):
    """Rates in percent."""

    delivery_rate: Decimal
    open_rate: Decimal
    click_rate: Decimal
    click_to_open_rate: Decimal
    reply_rate: Decimal
    bounce_rate: Decimal
    spam_rate: Decimal
    unsubscribe_rate: Decimal


class CampaignPoint(Struct):
    """One day, week or month, by its first day (UTC)."""

    date: Day
    sent: int
    delivered: int
    opened: int
    clicked: int
    replied: int
    bounced: int
    spam_complaints: int


class CampaignAnalytics(Struct):
    """One campaign."""

    campaign_id: str
    campaign_name: str
    time_range: TimeRange
    summary: CampaignSummary
    rates: CampaignRates
    time_series: list[CampaignPoint]


class CampaignAnswer(Struct):
    """GET .../campaigns/{campaignId}/analytics."""

    success: bool
    data: CampaignAnalytics


class OverviewSummary(Struct):
    """Counts of a workspace."""

    total_campaigns: int
    active_campaigns: int
    emails_sent: int
    emails_delivered: int
    emails_opened: int
    emails_clicked: int
    emails_replied: int


class OverviewRates(Struct):
    """Rates in percent."""

    delivery_rate: Decimal
    open_rate: Decimal
    click_rate: Decimal
    reply_rate: Decimal


class TopCampaign(Struct):
    """One of the five best."""

    campaign_id: str
    campaign_name: str
    open_rate: Decimal
    reply_rate: Decimal


class Overview(Struct):
    """All campaigns of a workspace."""

    workspace_id: str
    time_range: TimeRange
    summary: OverviewSummary
    rates: OverviewRates
    top_campaigns: list[TopCampaign]


class OverviewAnswer(Struct):
    """GET .../analytics/overview."""

    success: bool
    data: Overview


class CompareBody(Struct, forbid_unknown_fields=True):
    """Body of POST .../analytics/compare, and nothing else. start_date, end_date: with time_range `custom`. Null is as
    what is not there, but for campaign_ids.
    """

    campaign_ids: Annotated[list[str], described("Two to twenty different ones.", minItems=2, maxItems=20)]
    time_range: Annotated[str | None, one_of("7d", "30d", "90d", "custom")] = None
    metrics: Annotated[
        list[Annotated[str, one_of(*RATES)]] | None, described(f"Default: {', '.join(DEFAULT_RATES)}.", minItems=1)
    ] = None
    start_date: Annotated[str | None, _START] = None
    end_date: Annotated[str | None, _END] = None


class FailedError(Struct):
    """Every error of Workspaces."""

    success: Literal[False]
    error: Problem

    @classmethod
    def of(cls, error: RequestError, request_id: str) -> FailedError:
        """The error in this shape."""
        return cls(False, Problem(error.code, error.message))


DOCUMENT = Document(
    name="Workspaces",
    about="Campaigns, deliverability, heatmap, comparison, exports. Rates in percent.",
    paths=("/api/v1/workspaces/",),
    error=FailedError,
)
BASE = "/api/v1/workspaces/{workspaceId}"


def endpoint(method: str, path: str, limit: Limit, summary: str, **more: Any) -> Endpoint:
    """One route of Workspaces below BASE."""
    return Endpoint(
        method=method,
        path=BASE + path,
        document=DOCUMENT,
        service=Service.QUERY,
        summary=summary,
        scope="analytics",
        limit=limit,
        **more,
    )


ENDPOINTS = (
    endpoint(
        "GET",
        "/campaigns/{campaignId}/analytics",
        Limit.CAMPAIGN,
        "One campaign's summary, rates and series",
        parameters=CampaignParameters,
        answer=CampaignAnswer,
        caching=Caching.BY_DAY,
    ),
    endpoint(
        "GET",
        "/analytics/overview",
        Limit.OVERVIEW,
        "All campaigns of a workspace",
        parameters=OverviewParameters,
        answer=OverviewAnswer,
        caching=Caching.BY_DAY,
    ),
    endpoint(
        "GET",
        "/analytics/deliverability",
        Limit.DELIVERABILITY,
        "Bounces, health score, reputation, blocklists",
        parameters=DeliverabilityParameters,
        answer=DeliverabilityAnswer,
        caching=Caching.BY_DAY,
    ),
    endpoint(
        "GET",
        "/analytics/engagement-heatmap",
        Limit.CAMPAIGN,
        "Engagement by weekday and time of sending",
        parameters=HeatmapParameters,
        answer=HeatmapAnswer,
        caching=Caching.BY_DAY,
    ),
    endpoint(
        "POST",
        "/analytics/compare",
        Limit.CAMPAIGN,
        "Campaigns side by side, with significance",
        body=CompareBody,
        answer=CompareAnswer,
        max_body=64 * 1024,
        repeatable=True,
        caching=Caching.BY_DAY,
    ),
)
