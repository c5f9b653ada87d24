"""Postmeter's own API: endpoints of the native writes and of the native query."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Struct, field

from postmeter.shared.apis.document import NATIVE
from postmeter.shared.apis.endpoint import Caching, Endpoint, Limit, Service, Timestamp, described, one_of, read_later
from postmeter.shared.privacy.levels import CLICK_LEVELS, OPEN_LEVELS, Ceiling
from postmeter.shared.storage.rollups import ASKED_BY, METRICS
from postmeter.shared.stream.events import EventType

_METRICS_SAY = "Of `link` only clicks. conversions and revenue in a query of their own; revenue of one currency each."


Values = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "array", "items": {"type": "string"}})]
"""The values of one filter; each dimension's are read apart."""
NotLookedAt = Annotated[msgspec.Raw | msgspec.UnsetType, described("Not looked at: the key decides.")]
"""A workspace that is named in a body (hostile-input.md 31)."""


class QueryBody(Struct, forbid_unknown_fields=True):
    """Body of POST /v1/query."""

    metrics: Annotated[list[Annotated[str, one_of(*METRICS)]], described(_METRICS_SAY, minItems=1)]
    dimensions: list[Annotated[str, one_of(*ASKED_BY)]] = []
    filters: Annotated[
        dict[Annotated[str, one_of(*ASKED_BY)], Values], described("Dimension to the values that it may have.")
    ] = {}
    start: Annotated[str | None, described("Default: 30 days before `to`.")] = field(default=None, name="from")
    end: Annotated[str | None, described("Default: now.")] = field(default=None, name="to")
    timezone: Annotated[str, described("IANA zone, or an offset such as +05:45.")] = "UTC"
    resolution: Annotated[str, one_of("total", "quarter_hour", "hour", "day", "week", "month")] = "total"
    order_by: Annotated[str | list[str], described("Fields of the answer; `-` before one: descending.")] = []
    limit: Annotated[int, described("Rows of a page.", minimum=1, maximum=10000)] = 10_000
    cursor: Annotated[str | None, described("next_cursor of the page before.")] = None
    workspace: NotLookedAt = msgspec.UNSET
    workspace_id: NotLookedAt = msgspec.UNSET


class QueryUnderstood(Struct):
    """The query as understood, defaults filled in."""

    metrics: list[str]
    dimensions: list[str]
    filters: dict[str, list[str]]
    start: Timestamp = field(name="from")
    end: Timestamp = field(name="to")
    timezone: str
    resolution: str
    order_by: list[str]
    limit: int


class QueryAnswer(Struct):
    """POST /v1/query. A row: timestamp (unless total), the dimensions, the metrics."""

    data: list[dict[str, Any]]
    query: QueryUnderstood
    next_cursor: str | None


class Tracking(Struct, forbid_unknown_fields=True):
    """The levels that a message is to be tracked at, at most (docs/privacy.md)."""

    opens: Annotated[str | None, one_of(*OPEN_LEVELS)] = None
    clicks: Annotated[str | None, one_of(*CLICK_LEVELS)] = None


class MessageBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """One message to register."""

    from_address: str
    to: str
    id: UUID | None = None
    campaign_id: str | None = None
    campaign_name: str | None = None
    subject: str | None = None
    provider: str | None = None
    provider_account_id: str | None = None
    provider_message_id: str | None = None
    template: str | None = None
    tags: list[str] | None = None
    created_at: Annotated[str | None, described("A time with a zone.", format="date-time")] = None
    html: str | None = None
    track_opens: bool = True
    track_clicks: bool = True
    honeypot: Annotated[bool, described("Add a link that no person sees; needs track_clicks.")] = False
    recipient_ref: Annotated[
        str | None, described("What you call the recipient, kept as it is given.", maxLength=200)
    ] = None
    tracking: Tracking | None = None


class MessagesBody(Struct, forbid_unknown_fields=True):
    """Up to 1000 messages at once."""

    messages: Annotated[
        list[Annotated[msgspec.Raw, read_later(MessageBody)]], msgspec.Meta(extra_json_schema={"maxItems": 1000})
    ]


class Link(Struct, frozen=True):
    """One rewritten link."""

    url: str
    tracking_url: str


class Reason(StrEnum):
    """Why a link, or the pixel, is not tracked."""

    NOT_HTTP = "not_http"
    """`mailto:`, `#top`, `/relative`, nothing at all."""
    PLACEHOLDER = "placeholder"
    """Something in it is still to be filled in."""
    MARKED = "marked"
    """Its tag says so, by our mark or by another tool's."""
    OURS = "ours"
    """It is a tracking URL of ours."""
    REFUSED = "refused"
    """Nothing that we would redirect to: no readable host, user info, over 8 KB."""
    AMP_NEEDS_HTTPS = "amp_needs_https"
    """Of the pixel: AMP loads images by https only, and our public URL is not."""


class Untracked(Struct, frozen=True):
    """A link that was left as it is, at most 200 characters of it, and why (docs/api/messages.md)."""

    url: str
    reason: Annotated[str, one_of(*Reason)]


class Unsubscribe(Struct, frozen=True):
    """One-click unsubscribe (RFC 8058): its URL, and the headers that offer it in the mail."""

    url: str
    headers: dict[str, str]


class DecidedBy(Struct, frozen=True):
    """Whose ceiling decided: the lowest, of equal ones the first of these."""

    opens: Ceiling
    clicks: Ceiling


class TrackedAt(Struct, frozen=True):
    """The levels that hold for a message, and who decided them."""

    opens: Annotated[str, one_of(*OPEN_LEVELS)]
    clicks: Annotated[str, one_of(*CLICK_LEVELS)]
    decided_by: DecidedBy


class Registered(Struct, frozen=True):
    """One registered message. open_url: null where opens are not tracked; html: null where none was given.

    untracked: the first hundred. honeypot_url: null unless it was asked for and html has a tracked link.
    preferences_url: where its reader chooses what may be recorded, for the mail's footer.
    """

    id: UUID
    open_url: str | None
    links: list[Link]
    untracked: list[Untracked]
    honeypot_url: str | None
    html: str | None
    unsubscribe: Unsubscribe
    tracking: TrackedAt
    preferences_url: str


class MessageAnswer(Struct):
    """POST /v1/messages of one message."""

    data: Annotated[msgspec.Raw, read_later(Registered)]


_EVENT_TYPES = (*(kind.name.lower() for kind in EventType if kind is not EventType.UNKNOWN), "rejected")


class EventBody(Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One event. Repetitions are told by its encoding: a new field goes to the end."""

    type: Annotated[str, one_of(*_EVENT_TYPES)]
    message_id: UUID | None = None
    provider: str | None = None
    provider_message_id: str | None = None
    timestamp: Annotated[str | None, described("A time with a zone. Default: now.", format="date-time")] = None
    id: Annotated[str | None, described("Idempotency key.")] = None
    bounce_type: Annotated[str | None, one_of("hard", "soft")] = None
    reason: str | None = None
    url: str | None = None
    user_agent: str | None = None
    ip: str | None = None
    domain: str | None = None
    size_bytes: int | None = None
    spam: bool | None = None


class EventsBody(Struct, forbid_unknown_fields=True):
    """Events of a batch; also taken as NDJSON."""

    events: list[Annotated[msgspec.Raw, read_later(EventBody)]]


class Rejected(Struct, frozen=True):
    """An item of a list that was not taken. field: which one is at fault; null: the item as such."""

    index: int
    code: str
    message: str
    field: str | None


class EventsAnswer(Struct):
    """POST /v1/events."""

    accepted: int
    duplicates: int
    rejected: list[Rejected]


class MessagesAnswer(Struct):
    """POST /v1/messages of a list: those that were taken, in their order, and the others."""

    data: list[Annotated[msgspec.Raw, read_later(Registered)]]
    rejected: list[Rejected]


class CampaignBody(Struct, forbid_unknown_fields=True):
    """Body of PUT /v1/campaigns/{id}; what is left out stays as it is, empty text takes back what was said."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    status: str | msgspec.UnsetType = msgspec.UNSET


class Campaign(Struct):
    """A campaign. status: what was said last, or what follows from its sending. sent_at: its first sending."""

    id: str
    name: str
    status: str
    sent_at: Timestamp | None
    created_at: Timestamp


class CampaignsParameters(Struct):
    """Query of GET /v1/campaigns."""

    limit: Annotated[str, described("Campaigns of a page.", type="integer", minimum=1, maximum=1000)] = "100"
    cursor: Annotated[str | None, described("next_cursor of the page before.")] = None


class CampaignsAnswer(Struct):
    """GET /v1/campaigns, by id."""

    data: list[Campaign]
    next_cursor: str | None


class CampaignChange(Struct):
    """What was accepted; it shows in reads within two seconds."""

    id: str
    name: str | msgspec.UnsetType = msgspec.UNSET
    status: str | msgspec.UnsetType = msgspec.UNSET


class CampaignChangeAnswer(Struct):
    """PUT /v1/campaigns/{id}."""

    data: CampaignChange


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/query",
        document=NATIVE,
        service=Service.QUERY,
        summary="Any metric by any dimension",
        scope="analytics",
        limit=Limit.READ,
        max_body=256 * 1024,
        repeatable=True,
        body=QueryBody,
        answer=QueryAnswer,
        caching=Caching.BY_QUARTER_HOUR,
    ),
    Endpoint(
        method="POST",
        path="/v1/messages",
        document=NATIVE,
        service=Service.TRACKING,
        summary="Register messages; get their tracking URLs and HTML",
        scope="track",
        limit=Limit.WRITE,
        timeout=30.0,
        max_body=16 * 1024 * 1024,
        body=MessageBody | MessagesBody,
        answer=MessageAnswer | MessagesAnswer,
        status=201,
    ),
    Endpoint(
        method="POST",
        path="/v1/events",
        document=NATIVE,
        service=Service.TRACKING,
        summary="Report events",
        scope="track",
        limit=Limit.WRITE,
        timeout=30.0,
        max_body=8 * 1024 * 1024,
        body_media=("application/json", "application/x-ndjson", "application/ndjson", "application/jsonl"),
        body=EventsBody,
        answer=EventsAnswer,
        status=202,
        failures=(409,),
    ),
)
CAMPAIGN_ENDPOINTS = (
    Endpoint(
        method="PUT",
        path="/v1/campaigns/{id}",
        document=NATIVE,
        service=Service.TRACKING,
        summary="Name a campaign, or set its status",
        scope="track",
        roles=("super_admin", "admin", "member"),
        limit=Limit.WRITE,
        max_body=64 * 1024,
        body=Annotated[CampaignBody, msgspec.Meta(extra_json_schema={"minProperties": 1})],
        answer=CampaignChangeAnswer,
    ),
    Endpoint(
        method="GET",
        path="/v1/campaigns",
        document=NATIVE,
        service=Service.QUERY,
        summary="The workspace's campaigns",
        scope="analytics",
        limit=Limit.READ,
        parameters=CampaignsParameters,
        answer=CampaignsAnswer,
        caching=Caching.UNTIL_CHANGED,
    ),
)
