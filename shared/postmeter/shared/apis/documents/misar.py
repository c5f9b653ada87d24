"""The Misar analytics API: shapes and endpoints."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from msgspec import UNSET, Raw, Struct, UnsetType, field
from msgspec.structs import replace

from postmeter.shared.apis.document import Document
from postmeter.shared.apis.endpoint import Caching, Endpoint, Limit, Service, Timestamp, described, one_of
from postmeter.shared.errors import RequestError


class OverviewParameters(Struct):
    """Query of GET /api/v1/analytics/overview."""

    period: Annotated[str, one_of("7d", "30d", "90d")] = "30d"
    start: Annotated[str | None, described("Overrides period: a date, or a timestamp (without a zone: UTC).")] = field(
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


class ClientParameters(Struct):
    """Query of GET /mail/v1/analytics, as the published client of Misar (`misarmail`) names its parts."""

    start_date: Annotated[str | None, described("A date, or a timestamp; without a zone it is UTC.")] = None
    end_date: Annotated[str | None, described("A date is its last instant.")] = None
    campaign_id: Annotated[str | None, described("Only this campaign.")] = None
    group_by: Annotated[str | None, one_of("hour", "day", "week", "month", "campaign", "domain")] = None


class Group(Struct):
    """Totals of a bucket, by its first instant, or of a campaign or domain, by its name."""

    group: str
    metrics: OverviewMetrics


class ClientAnswer(OverviewAnswer):
    """GET /mail/v1/analytics: the overview, and its parts where `group_by` asks for them."""

    groups: list[Group] | UnsetType = UNSET


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


class TrackEventBody(Struct, forbid_unknown_fields=True):
    """Body of POST /api/v1/track/event. properties: as they were written, so that no number loses a digit."""

    event_name: Annotated[str, described("snake_case.", pattern="^[a-z][a-z0-9]*(_[a-z0-9]+)*$", maxLength=100)]
    contact_email: Annotated[str, described("Kept as a hash.", format="email")]
    properties: Annotated[Raw | UnsetType, described("At most 16 KiB, 8 levels.", type=["object", "null"])] = UNSET
    timestamp: Annotated[str | None, described("Default: now.", format="date-time")] = None


class TrackEventAnswer(Struct):
    """POST /api/v1/track/event."""

    success: bool
    event_id: str


class Item(Struct):
    """A line item; a negative price is a discount. Fields of the caller's own are kept with it."""

    name: Annotated[str, described("At most 500 characters.", maxLength=500)]
    quantity: Annotated[Raw, described("At most 6 decimals.", type="number", exclusiveMinimum=0)]
    price: Annotated[Raw, described("At most 6 decimals.", type="number")]


class PurchaseBody(Struct, forbid_unknown_fields=True):
    """Body of POST /api/v1/track/purchase. Numbers are read from their digits."""

    contact_email: Annotated[str, described("Kept as a hash.", format="email")]
    amount: Annotated[Raw, described("With no more decimals than the currency has.", type="number", minimum=0)]
    currency: Annotated[str, described("An active code of ISO 4217.", pattern="^[A-Z]{3}$")]
    order_id: Annotated[str | None, described("Sent again, it counts once.", minLength=1, maxLength=200)] = None
    items: Annotated[list[Item] | None, described("Kept beside the purchase.", maxItems=200)] = None
    timestamp: Annotated[str | None, described("Default: now.", format="date-time")] = None


class PurchaseAnswer(Struct):
    """POST /api/v1/track/purchase. attributed_campaign_id: of the contact's last click within 7 days, or null."""

    success: bool
    event_id: str
    attributed_campaign_id: str | None


class FlatError(Struct):
    """Every error of Misar. error: what to do, for people. error_type: for programs."""

    success: Literal[False]
    error: str
    error_type: str

    @classmethod
    def of(cls, error: RequestError, request_id: str) -> FlatError:
        """The error in this shape."""
        return cls(False, error.message, error.code)


CLIENT_BASE = "/mail/v1"
"""Where the published client expects Misar: its paths are the document's without `/api/v1`, and `/analytics` is new."""
DOCUMENT = Document(
    name="Misar",
    about="Account and campaign metrics, custom events and purchases. Rates as fractions.",
    paths=("/api/v1/analytics/", "/api/v1/track/event", "/api/v1/track/purchase", f"{CLIENT_BASE}/"),
    error=FlatError,
)
WHOLE_WORKSPACE = ("super_admin", "admin", "member")
"""A contact belongs to the workspace, not to one of its domains."""
TRACK_EVENT = Endpoint(
    method="POST",
    path="/api/v1/track/event",
    document=DOCUMENT,
    service=Service.TRACKING,
    summary="Track a custom event",
    scope="track",
    roles=WHOLE_WORKSPACE,
    limit=Limit.WRITE,
    max_body=64 * 1024,
    body=TrackEventBody,
    answer=TrackEventAnswer,
    failures=(422,),
    wrong_value=(422, "INVALID_FIELD"),
)
TRACK_PURCHASE = Endpoint(
    method="POST",
    path="/api/v1/track/purchase",
    document=DOCUMENT,
    service=Service.TRACKING,
    summary="Track a purchase; get the campaign that it is attributed to",
    scope="track",
    roles=WHOLE_WORKSPACE,
    limit=Limit.WRITE,
    max_body=256 * 1024,
    body=PurchaseBody,
    answer=PurchaseAnswer,
    failures=(409, 422),
    wrong_value=(422, "INVALID_FIELD"),
)
CLIENT_TRACK_EVENT = replace(TRACK_EVENT, path=f"{CLIENT_BASE}/track/event")
CLIENT_TRACK_PURCHASE = replace(TRACK_PURCHASE, path=f"{CLIENT_BASE}/track/purchase")
ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/analytics/overview",
        document=DOCUMENT,
        service=Service.QUERY,
        summary="Account-level metrics",
        scope="analytics",
        limit=Limit.READ,
        parameters=OverviewParameters,
        answer=OverviewAnswer,
        caching=Caching.BY_DAY,
    ),
    Endpoint(
        method="GET",
        path="/api/v1/analytics/campaigns/{id}",
        document=DOCUMENT,
        service=Service.QUERY,
        summary="One campaign's metrics and timeline",
        scope="analytics",
        limit=Limit.READ,
        answer=CampaignAnswer,
        caching=Caching.BY_DAY,
    ),
    TRACK_EVENT,
    TRACK_PURCHASE,
    Endpoint(
        method="GET",
        path=f"{CLIENT_BASE}/analytics",
        document=DOCUMENT,
        service=Service.QUERY,
        summary="Account-level metrics, as the published client asks for them",
        scope="analytics",
        limit=Limit.READ,
        parameters=ClientParameters,
        answer=ClientAnswer,
        failures=(404,),
        caching=Caching.BY_DAY,
    ),
    CLIENT_TRACK_EVENT,
    CLIENT_TRACK_PURCHASE,
)
