"""API keys: endpoints to make, look at and revoke them, as the command `postmeter key` does."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import msgspec
from msgspec import Struct

from postmeter.shared.apis.endpoint import Service, Timestamp, described, native, one_of
from postmeter.shared.auth.api_keys import ROLES, SCOPES

PATH = "/v1/keys"
ONE_PATH = "/v1/keys/{id}"
_MAX_BODY = 64 * 1024
ADMINS = ("super_admin", "admin", "domain_admin")
"""A domain_admin with the scope `access` manages only users and keys whose domains it has itself."""
_DOMAINS = "Of a domain_admin: its domains."


class NewKey(Struct, forbid_unknown_fields=True):
    """Body of POST /v1/keys."""

    role: Annotated[str, one_of(*ROLES)]
    scopes: Annotated[list[Annotated[str, one_of(*SCOPES)]], msgspec.Meta(min_length=1, max_length=len(SCOPES))]
    domains: Annotated[list[str], msgspec.Meta(max_length=1000), described(_DOMAINS)] = []
    name: Annotated[str, msgspec.Meta(max_length=200), described("What people call it.")] = ""


class Key(Struct):
    """A key; it is itself nowhere kept."""

    id: str
    name: str
    role: str
    scopes: list[str]
    domains: list[str] | None
    created_at: Timestamp


class MadeKey(Key):
    """A key that was just made. key: it itself, shown this once."""

    key: str


class RevokedKey(Struct):
    """A key that is worth nothing any more, within seconds."""

    id: str
    revoked_at: Timestamp


class MadeKeyAnswer(Struct):
    """POST /v1/keys."""

    data: MadeKey


class KeysAnswer(Struct):
    """GET /v1/keys: those that are not revoked, in the order in which they were made."""

    data: list[Key]


class RevokedKeyAnswer(Struct):
    """DELETE /v1/keys/{id}."""

    data: RevokedKey


endpoint = partial(native, service=Service.GATEWAY, scope="access", roles=ADMINS)
"""A row about who may come in."""


ENDPOINTS = (
    endpoint(
        "POST",
        PATH,
        "Make an API key with at most your own rights; it is shown only once",
        MadeKeyAnswer,
        max_body=_MAX_BODY,
        body=NewKey,
        status=201,
        failures=(409,),
    ),
    endpoint("GET", PATH, "API keys, without what is secret", KeysAnswer),
    endpoint("DELETE", ONE_PATH, "Revoke an API key", RevokedKeyAnswer),
)
