"""`POST /v1/messages`: registers messages, and gives them their tracking URLs."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Struct

from postmeter.shared.apis.document import NATIVE
from postmeter.shared.apis.endpoint import Endpoint, Limit, Service, described, one_of, read_later
from postmeter.shared.apis.mail.events import Rejected
from postmeter.shared.privacy.levels import CLICK_LEVELS, OPEN_LEVELS, Ceiling


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


class MessagesAnswer(Struct):
    """POST /v1/messages of a list: those that were taken, in their order, and the others."""

    data: list[Annotated[msgspec.Raw, read_later(Registered)]]
    rejected: list[Rejected]


ENDPOINTS = (
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
)
