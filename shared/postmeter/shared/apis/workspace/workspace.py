"""`GET /v1/workspace`: what a key's workspace is called, and its time zone."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from postmeter.shared.apis.document import NATIVE
from postmeter.shared.apis.endpoint import Caching, Endpoint, Limit, Service, described

PATH = "/v1/workspace"


class Workspace(Struct):
    """The workspace that the key belongs to."""

    id: str
    name: str
    timezone: Annotated[str, described("IANA zone: the one that its people think in.")]
    domains: Annotated[list[str] | None, described("The caller is confined to these; null: sees all of it.")]


class WorkspaceAnswer(Struct):
    """GET /v1/workspace."""

    data: Workspace


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
)
