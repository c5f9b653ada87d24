"""The audit log: an endpoint to read it."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Struct

from postmeter.shared.apis.endpoint import Caching, Service, Timestamp, described, native, one_of
from postmeter.shared.privacy.audit import Action

PATH = "/v1/audit"


class AuditParameters(Struct):
    """Query of GET /v1/audit."""

    limit: Annotated[str, described("Entries of a page.", type="integer", minimum=1, maximum=1000)] = "100"
    cursor: Annotated[str | None, described("next_cursor of the page before.")] = None


class Entry(Struct):
    """Who did what.

    actor: `key:ID`, `user:ID` or `command`. target: what it was done to; empty: the workspace's own.
    """

    at: Timestamp
    actor: str
    action: Annotated[str, one_of(*Action)]
    target: str
    details: dict[str, Any]


class AuditAnswer(Struct):
    """GET /v1/audit, the latest first."""

    data: list[Entry]
    next_cursor: str | None


ENDPOINTS = (
    native(
        "GET",
        PATH,
        "Who changed what, the latest first",
        AuditAnswer,
        service=Service.QUERY,
        scope="privacy",
        parameters=AuditParameters,
        caching=Caching.NEVER,
    ),
)
