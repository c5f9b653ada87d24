"""`POST /v1/messages/search`: messages by what became of them."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Struct, field

from postmeter.shared.apis.document import NATIVE
from postmeter.shared.apis.endpoint import Caching, Endpoint, Limit, Service, Timestamp, described, one_of
from postmeter.shared.apis.queries.query import NotLookedAt, Values
from postmeter.shared.storage.rollups import MESSAGE_DIMENSIONS

ENGAGEMENTS = (
    "opened",
    "not_opened",
    "clicked",
    "not_clicked",
    "replied",
    "bounced",
    "complained",
    "unsubscribed",
)


class SearchBody(Struct, forbid_unknown_fields=True):
    """Body of POST /v1/messages/search."""

    filters: Annotated[
        dict[Annotated[str, one_of(*MESSAGE_DIMENSIONS)], Values],
        described(f"Dimension to the values that it may have: {', '.join(MESSAGE_DIMENSIONS)}."),
    ] = {}
    engagement: Annotated[str | None, one_of(*ENGAGEMENTS), described("null: any.")] = None
    start: Annotated[str | None, described("Of their creation. Default: 30 days before `to`.")] = field(
        default=None, name="from"
    )
    end: Annotated[str | None, described("Default: none.")] = field(default=None, name="to")
    limit: Annotated[int, described("Messages of a page, at most.", minimum=1, maximum=1000)] = 100
    cursor: Annotated[str | None, described("next_cursor of the page before.")] = None
    workspace: NotLookedAt = UNSET
    workspace_id: NotLookedAt = UNSET


class FoundMessage(Struct):
    """A message that was found. campaign, recipient_ref: null where it has none. The times are of what counts."""

    id: str
    recipient_ref: str | None
    to_hash: str
    campaign: str | None
    subject: str
    status: Annotated[str, one_of("queued", "sending", "sent", "delivered", "bounced", "failed", "complained")]
    sent_at: Timestamp | None
    first_opened_at: Timestamp | None
    first_clicked_at: Timestamp | None


class SearchAnswer(Struct):
    """POST /v1/messages/search. A page may hold fewer messages than its limit, or none, and others follow."""

    data: list[FoundMessage]
    next_cursor: str | None


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/messages/search",
        document=NATIVE,
        service=Service.QUERY,
        summary="Messages that were opened, clicked, bounced, ... or were not, latest first",
        scope="analytics",
        limit=Limit.READ,
        max_body=256 * 1024,
        repeatable=True,
        body=SearchBody,
        answer=SearchAnswer,
        caching=Caching.BY_SECOND_WITHOUT_RANGE,
    ),
)
