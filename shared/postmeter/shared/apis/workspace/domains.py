"""Sending domains: those that the workspace's mail came from so far."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from postmeter.shared.apis.document import NATIVE
from postmeter.shared.apis.endpoint import Caching, Endpoint, Limit, Service, Timestamp, described

PATH = "/v1/domains"


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
        summary="The workspace's sending domains",
        scope="analytics",
        limit=Limit.READ,
        parameters=DomainsParameters,
        answer=DomainsAnswer,
        caching=Caching.UNTIL_CHANGED,
    ),
)
