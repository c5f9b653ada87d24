"""What recipients have chosen: endpoints that take it, and that show it with its proof."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Struct, UnsetType

from postmeter.shared.apis.endpoint import Service, Timestamp, described, native, one_of
from postmeter.shared.apis.native import Rejected
from postmeter.shared.apis.privacy import ADMINS
from postmeter.shared.privacy.levels import CHOICES

PATH = "/v1/recipients/consent"
Choice = Annotated[str, one_of(*CHOICES)]


class ConsentBody(Struct):
    """What one recipient has chosen, of opens, of clicks or of both; tracking-service checks each field.

    Named by one of `to` and `to_hash`.
    """

    to: Annotated[str | UnsetType, described("The address; only its hash is kept.")] = msgspec.UNSET
    to_hash: Annotated[str | UnsetType, described("As messages show it.", pattern="^[0-9a-fA-F]{64}$")] = msgspec.UNSET
    opens: Choice | UnsetType = msgspec.UNSET
    clicks: Choice | UnsetType = msgspec.UNSET
    method: Annotated[str | UnsetType, described("How it was asked, such as a form.", maxLength=100)] = msgspec.UNSET
    text_version: Annotated[str | UnsetType, described("Which text was shown.", maxLength=200)] = msgspec.UNSET
    at: Annotated[Timestamp | UnsetType, described("When; default: now.")] = msgspec.UNSET
    source: Annotated[str | UnsetType, described("Where, such as a page.", maxLength=500)] = msgspec.UNSET


class ConsentsBody(Struct):
    """Up to 1000 recipients at once."""

    recipients: Annotated[list[ConsentBody], msgspec.Meta(max_length=1000)]


class ConsentsAnswer(Struct):
    """PUT /v1/recipients/consent."""

    accepted: int
    rejected: list[Rejected]


class ConsentParameters(Struct):
    """Query of GET /v1/recipients/consent."""

    to_hash: Annotated[str, described("As messages show it: 64 hexadecimal digits.")] = ""


class Told(Struct):
    """One choice as it was told; null: nothing of that. recorded_by: `key:ID`, `user:ID`, `command` or `recipient`."""

    opens: Choice | None
    clicks: Choice | None
    method: str
    text_version: str
    source: str
    at: Timestamp
    recorded_at: Timestamp
    recorded_by: str


class RecipientConsent(Struct):
    """What holds now, and all that was told, the latest first."""

    opens: Choice
    clicks: Choice
    history: list[Told]


class ConsentAnswer(Struct):
    """GET /v1/recipients/consent."""

    data: RecipientConsent


PUT = native(
    "PUT",
    PATH,
    "Tell what recipients have chosen",
    ConsentsAnswer,
    service=Service.TRACKING,
    scope="privacy",
    roles=ADMINS,
    timeout=30.0,
    max_body=2 * 1024 * 1024,
    body=ConsentBody | ConsentsBody,
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
        unversioned=True,
    ),
)
