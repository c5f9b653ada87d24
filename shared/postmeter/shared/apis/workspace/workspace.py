"""A key's workspace: what it is called, its time zone, and the sending domains that its mail came from so far."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from postmeter.shared.apis.document import NATIVE
from postmeter.shared.apis.endpoint import Caching, Endpoint, Limit, Service, Timestamp, described

PATH = "/v1/workspace"
DOMAINS_PATH = "/v1/domains"


class Workspace(Struct):
    """The workspace that the key belongs to."""

    id: str
    name: str
    timezone: Annotated[str, described("IANA zone: the one that its people think in.")]
    domains: Annotated[list[str] | None, described("The caller is confined to these; null: sees all of it.")]


class WorkspaceAnswer(Struct):
    """GET /v1/workspace."""

    data: Workspace


class DomainsParameters(Struct):
    """Query of GET /v1/domains."""

    limit: Annotated[str, described("Domains of a page.", type="integer", minimum=1, maximum=1000)] = "100"
    cursor: Annotated[str | None, described("next_cursor of the page before.")] = None


class Domain(Struct):
    """A domain. id: as Optail's endpoints name it. created_at: when something of it was first heard of."""

    id: str
    name: str
    created_at: Timestamp


class DomainsAnswer(Struct):
    """GET /v1/domains, by name."""

    data: list[Domain]
    next_cursor: str | None


ENDPOINTS = (
    Endpoint(
        method="GET",
        path=PATH,
        document=NATIVE,
        service=Service.QUERY,
        summary="The key's workspace: its name and time zone",
        scope="analytics",
        limit=Limit.READ,
        answer=WorkspaceAnswer,
        caching=Caching.UNTIL_CHANGED,
    ),
    Endpoint(
        method="GET",
        path=DOMAINS_PATH,
        document=NATIVE,
        service=Service.QUERY,
        summary="The workspace's sending domains",
        scope="analytics",
        limit=Limit.READ,
        parameters=DomainsParameters,
        answer=DomainsAnswer,
        caching=Caching.UNTIL_CHANGED,
    ),
)
