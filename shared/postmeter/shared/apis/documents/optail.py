"""The Optail metrics API: shapes and endpoints."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from msgspec import Struct, field

from postmeter.shared.apis.document import Document, PlainError
from postmeter.shared.apis.endpoint import Caching, Endpoint, Limit, Service, Timestamp, described, one_of

_FROM = described("Start of the range: a timestamp with a zone, or a date. Default: 30 days ago.")
_TO = described("End of the range, exclusive; a date is its last instant. Default: now.")
STATUSES = ("QUEUED", "SENDING", "SENT", "DELIVERED", "BOUNCED", "FAILED")


class SummaryParameters(Struct):
    """Query of GET /v1/metrics/summary."""

    start: Annotated[str | None, _FROM] = field(default=None, name="from")
    end: Annotated[str | None, _TO] = field(default=None, name="to")


class MetricsParameters(SummaryParameters):
    """Query of GET /v1/metrics."""

    granularity: Annotated[str, one_of("hour", "day", "week", "month")] = "day"


class BreakdownParameters(SummaryParameters):
    """Query of GET /v1/metrics/breakdown."""

    group_by: Annotated[str, one_of("provider", "domain", "template")] = field(default="provider", name="groupBy")


class MessagesParameters(Struct):
    """Query of GET /v1/messages. Numbers are read by the endpoint, whose errors name them."""

    page: Annotated[str, described("Page number, from 1.", type="integer", minimum=1)] = "1"
    limit: Annotated[str, described("Items per page, at most 100.", type="integer", minimum=1)] = "20"
    status: Annotated[str | None, one_of(*STATUSES)] = None
    search: Annotated[str | None, described("A part of the subject, in any case.")] = None


class Bucket(Struct):
    """One bucket. timestamp: `2025-01-15 00:00:00`, UTC."""

    timestamp: str
    sent: int
    delivered: int
    opened: int
    clicked: int
    bounced: int
    complained: int
    unsubscribed: int


class MetricsQuery(Struct):
    """The query as understood."""

    start: Timestamp = field(name="from")
    end: Timestamp = field(name="to")
    granularity: str


class MetricsAnswer(Struct):
    """GET /v1/metrics."""

    data: list[Bucket]
    query: MetricsQuery


class Group(Struct):
    """One provider, domain or template; `unknown` where messages have none."""

    name: str
    sent: int
    delivered: int
    opened: int
    clicked: int
    bounced: int
    complained: int


class BreakdownQuery(Struct):
    """The query as understood."""

    start: Timestamp = field(name="from")
    end: Timestamp = field(name="to")
    group_by: str = field(name="groupBy")


class BreakdownAnswer(Struct):
    """GET /v1/metrics/breakdown."""

    data: list[Group]
    query: BreakdownQuery


class Summary(Struct):
    """Totals, and rates as fractions with four decimals."""

    total_sent: int = field(name="totalSent")
    total_delivered: int = field(name="totalDelivered")
    total_opened: int = field(name="totalOpened")
    total_clicked: int = field(name="totalClicked")
    total_bounced: int = field(name="totalBounced")
    total_complained: int = field(name="totalComplained")
    total_unsubscribed: int = field(name="totalUnsubscribed")
    delivery_rate: Decimal = field(name="deliveryRate")
    open_rate: Decimal = field(name="openRate")
    click_rate: Decimal = field(name="clickRate")
    bounce_rate: Decimal = field(name="bounceRate")
    complaint_rate: Decimal = field(name="complaintRate")


class Period(Struct):
    """The range as understood."""

    start: Timestamp = field(name="from")
    end: Timestamp = field(name="to")


class SummaryAnswer(Struct):
    """GET /v1/metrics/summary."""

    data: Summary
    period: Period


class ListedMessage(Struct):
    """One message of the list. toHash: SHA-256 of the trimmed, lower-cased address."""

    id: str
    provider_account_id: str | None = field(name="providerAccountId")
    from_address: str = field(name="fromAddress")
    to_hash: str = field(name="toHash")
    subject: str
    status: str
    tags: list[str]
    provider_message_id: str | None = field(name="providerMessageId")
    created_at: Timestamp = field(name="createdAt")
    sent_at: Timestamp | None = field(name="sentAt")
    delivered_at: Timestamp | None = field(name="deliveredAt")


class Pagination(Struct):
    """Where in the list the page is."""

    page: int
    limit: int
    total: int
    total_pages: int = field(name="totalPages")


class MessagesAnswer(Struct):
    """GET /v1/messages, newest first."""

    data: list[ListedMessage]
    pagination: Pagination


class MessageEvent(Struct):
    """One event of a message's history. eventType: QUEUED, SENT, OPENED ..."""

    event_type: str = field(name="eventType")
    occurred_at: Timestamp = field(name="occurredAt")


class Message(Struct):
    """One message with its history."""

    id: str
    from_address: str = field(name="fromAddress")
    subject: str
    status: str
    tags: list[str]
    events: list[MessageEvent]


class MessageAnswer(Struct):
    """GET /v1/messages/{id}."""

    data: Message


DOCUMENT = Document(
    name="Optail",
    about="Metrics over time, breakdowns, messages. Rates as fractions.",
    paths=("/v1/metrics",),
    error=PlainError,
)


def _endpoint(path: str, summary: str, parameters: object, answer: object, caching: Caching) -> Endpoint:
    return Endpoint(
        method="GET",
        path=path,
        document=DOCUMENT,
        service=Service.QUERY,
        summary=summary,
        scope="analytics",
        limit=Limit.READ,
        parameters=parameters,
        answer=answer,
        caching=caching,
    )


ENDPOINTS = (
    _endpoint("/v1/metrics", "Events over time", MetricsParameters, MetricsAnswer, Caching.BY_SECOND_WITHOUT_RANGE),
    _endpoint(
        "/v1/metrics/breakdown",
        "Totals by provider, domain or template",
        BreakdownParameters,
        BreakdownAnswer,
        Caching.BY_SECOND_WITHOUT_RANGE,
    ),
    _endpoint(
        "/v1/metrics/summary", "Totals and rates", SummaryParameters, SummaryAnswer, Caching.BY_SECOND_WITHOUT_RANGE
    ),
    _endpoint("/v1/messages", "Messages, newest first", MessagesParameters, MessagesAnswer, Caching.UNTIL_CHANGED),
    _endpoint("/v1/messages/{id}", "One message with its history", None, MessageAnswer, Caching.UNTIL_CHANGED),
)
