"""Webhook sources: endpoints to make, look at, change and revoke them, as the command `postmeter source` does."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import msgspec
from msgspec import Struct

from postmeter.shared.apis.endpoint import Service, Timestamp, described, native, one_of
from postmeter.shared.storage.sources import ENGAGEMENT, PROVIDERS

PATH = "/v1/sources"
ONE_PATH = "/v1/sources/{id}"
_ADMINS = ("super_admin", "admin")
_THEIRS = "What the provider signs with, where it makes that itself; else Postmeter makes it."
_OPTIONS = "What the provider's page asks for besides, such as `topics` of SES."


class NewSource(Struct, forbid_unknown_fields=True):
    """Body of POST /v1/sources."""

    provider: Annotated[str, one_of(*PROVIDERS)]
    name: str = ""
    secret: Annotated[str | None, described(_THEIRS)] = None
    options: Annotated[dict[str, str], described(_OPTIONS)] = {}
    engagement: Annotated[str, one_of(*ENGAGEMENT)] = ENGAGEMENT[0]


class SourceChange(Struct, forbid_unknown_fields=True):
    """Body of PATCH /v1/sources/{id}; what is left out stays as it is."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    secret: Annotated[str | msgspec.UnsetType, described(_THEIRS)] = msgspec.UNSET
    rotate_secret: Annotated[bool, described("Make a new secret; only where Postmeter makes it.")] = False
    options: Annotated[dict[str, str] | msgspec.UnsetType, described(_OPTIONS)] = msgspec.UNSET
    engagement: Annotated[str | msgspec.UnsetType, one_of(*ENGAGEMENT)] = msgspec.UNSET


class Delivery(Struct):
    """A call of the webhook that was taken. not_understood: how many of its items."""

    at: Timestamp
    events: int
    not_understood: int


class Failure(Struct):
    """What went wrong. reason: why, addresses masked. item: the beginning of an item that was not understood."""

    at: Timestamp
    reason: str
    item: str | None


class Source(Struct):
    """A source. last_delivery, last_error: null before the first one, and 90 days after the last."""

    id: str
    provider: str
    name: str
    engagement: str
    options: dict[str, str]
    url: str
    created_at: Timestamp
    last_delivery: Delivery | None
    last_error: Failure | None


class MadeSource(Source):
    """A source that was just made or changed. secret, paste: of our making, shown this once.

    paste: the URL with the secret in it, for providers that take it so. secret_missing: nothing is taken before the
    provider's own secret is given.
    """

    secret: str | None
    paste: str | None
    secret_missing: bool


class SourceInDetail(Source):
    """A source and what it brought last, the latest first."""

    deliveries: list[Delivery]
    refused: list[Failure]
    not_understood: list[Failure]


class Revoked(Struct):
    """A source that takes nothing any more, within seconds."""

    id: str
    revoked_at: Timestamp


class MadeAnswer(Struct):
    """POST /v1/sources, PATCH /v1/sources/{id}."""

    data: MadeSource


class SourcesAnswer(Struct):
    """GET /v1/sources: those that are not revoked, in the order in which they were made."""

    data: list[Source]


class SourceAnswer(Struct):
    """GET /v1/sources/{id}."""

    data: SourceInDetail


class RevokedAnswer(Struct):
    """DELETE /v1/sources/{id}."""

    data: Revoked


_endpoint = partial(native, service=Service.TRACKING, scope="track", roles=_ADMINS, timeout=15.0)


ENDPOINTS = (
    _endpoint(
        "POST",
        PATH,
        "Make a webhook source; get its URL and, only once, its secret",
        MadeAnswer,
        max_body=64 * 1024,
        body=NewSource,
        status=201,
        failures=(409,),
    ),
    _endpoint("GET", PATH, "Webhook sources, each with its last delivery and error", SourcesAnswer),
    _endpoint("GET", ONE_PATH, "One webhook source: what it brought last, and what was not understood", SourceAnswer),
    _endpoint("PATCH", ONE_PATH, "Change a webhook source", MadeAnswer, max_body=64 * 1024, body=SourceChange),
    _endpoint("DELETE", ONE_PATH, "Revoke a webhook source", RevokedAnswer),
)
