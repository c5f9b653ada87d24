"""What recipients have chosen: endpoints that take it, and that show it with its proof."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Raw, Struct

from postmeter.shared.apis.endpoint import Caching, Service, Timestamp, described, native, one_of, read_later
from postmeter.shared.apis.mail.events import Rejected
from postmeter.shared.apis.privacy.ceilings import ADMINS
from postmeter.shared.privacy.levels import CHOICES

PATH = "/v1/recipients/consent"
Choice = Annotated[str, one_of(*CHOICES)]


class ConsentBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """What one recipient has chosen, of opens, of clicks or of both. Named by one of `to` and `to_hash`."""

    to: Annotated[str | None, described("The address; only its hash is kept.")] = None
    opens: Annotated[str | None, one_of(*CHOICES)] = None
    clicks: Annotated[str | None, one_of(*CHOICES)] = None
    to_hash: Annotated[str | None, described("As messages show it.", pattern="^[0-9a-fA-F]{64}$")] = None
    method: Annotated[str | None, described("How it was asked, such as a form.", maxLength=100)] = None
    text_version: Annotated[str | None, described("Which text was shown.", maxLength=200)] = None
    at: Annotated[str | None, described("When; default: now.", format="date-time")] = None
    source: Annotated[str | None, described("Where, such as a page.", maxLength=500)] = None


class ConsentsBody(Struct, forbid_unknown_fields=True):
    """Up to 1000 recipients at once."""

    recipients: Annotated[
        list[Annotated[Raw, read_later(ConsentBody)]], msgspec.Meta(extra_json_schema={"maxItems": 1000})
    ]


class ConsentsAnswer(Struct):
    """PUT /v1/recipients/consent."""

    accepted: int
    rejected: list[Rejected]


class ConsentParameters(Struct):
    """Query of GET /v1/recipients/consent."""

    to_hash: Annotated[str, described("As messages show it: 64 hexadecimal digits.")] = ""


class RecordedChoice(Struct):
    """One choice as it was reported; null: it leaves that open.

    recorded_by: `key:ID`, `user:ID`, `command` or `recipient`.
    """

    opens: Choice | None
    clicks: Choice | None
    method: str
    text_version: str
    source: str
    at: Timestamp
    recorded_at: Timestamp
    recorded_by: str


class RecipientConsent(Struct):
    """What holds now, and the latest that was told, the latest first."""

    opens: Choice
    clicks: Choice
    history: list[RecordedChoice]


class ConsentAnswer(Struct):
    """GET /v1/recipients/consent."""

    data: RecipientConsent


PUT = native(
    "PUT",
    PATH,
    "Report what recipients have chosen",
    ConsentsAnswer,
    service=Service.TRACKING,
    scope="privacy",
    roles=ADMINS,
    timeout=30.0,
    max_body=2 * 1024 * 1024,
    body=Annotated[ConsentBody, msgspec.Meta(extra_json_schema={"minProperties": 2})] | ConsentsBody,
    status=202,
)
ENDPOINTS = (
    PUT,
    native(
        "GET",
        PATH,
        "What a recipient has chosen, with the proof",
        ConsentAnswer,
        service=Service.QUERY,
        scope="privacy",
        parameters=ConsentParameters,
        caching=Caching.NEVER,
    ),
)
