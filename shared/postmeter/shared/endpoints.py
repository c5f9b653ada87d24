"""The endpoint table: it drives routing, authentication, time-outs and error envelopes alike."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Document(StrEnum):
    """Whose envelope an endpoint answers in (SEMANTICS.md)."""

    D1 = "vectis"
    NATIVE = "native"


class Service(StrEnum):
    """Who answers behind the gateway."""

    TRACKING = "tracking"
    QUERY = "query"


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One route. `path` is in aiohttp's form; `scope` None means public; `roles` empty means any role.

    timeout: seconds that the gateway waits for the service. max_body: bytes, after inflation.
    """

    method: str
    path: str
    document: Document
    service: Service
    scope: str | None = None
    roles: tuple[str, ...] = ()
    timeout: float = 10.0
    max_body: int = 0


OPEN_PATH = "/api/v1/track/open/"
CLICK_PATH = "/api/v1/track/click/"

ENDPOINTS = (
    Endpoint(method="GET", path=OPEN_PATH + "{token}", document=Document.D1, service=Service.TRACKING),
    Endpoint(method="GET", path=CLICK_PATH + "{token}", document=Document.D1, service=Service.TRACKING),
    Endpoint(
        method="GET",
        path="/api/v1/analytics",
        document=Document.D1,
        service=Service.QUERY,
        scope="analytics",
    ),
    Endpoint(
        method="GET",
        path="/api/v1/tracking/stats",
        document=Document.D1,
        service=Service.QUERY,
        scope="analytics",
        roles=("admin", "super_admin"),
    ),
    Endpoint(
        method="POST",
        path="/v1/query",
        document=Document.NATIVE,
        service=Service.QUERY,
        scope="analytics",
        max_body=256 * 1024,
    ),
    Endpoint(
        method="POST",
        path="/v1/messages",
        document=Document.NATIVE,
        service=Service.TRACKING,
        scope="track",
        timeout=30.0,
        max_body=32 * 1024 * 1024,
    ),
    Endpoint(
        method="POST",
        path="/v1/events",
        document=Document.NATIVE,
        service=Service.TRACKING,
        scope="track",
        timeout=30.0,
        max_body=8 * 1024 * 1024,
    ),
)


def document_of(path: str) -> Document:
    """The document whose envelope an answer on `path` has, also for paths that do not exist."""
    return Document.D1 if path.startswith("/api/") else Document.NATIVE
