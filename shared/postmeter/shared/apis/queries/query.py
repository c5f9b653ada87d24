"""`POST /v1/query`: any metric by any dimension."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Struct, field

from postmeter.shared.apis.document import NATIVE
from postmeter.shared.apis.endpoint import Caching, Endpoint, Limit, Service, Timestamp, described, one_of
from postmeter.shared.storage.rollups import ASKED_BY, METRICS

_METRICS_SAY = "Of `link` only clicks. conversions and revenue in a query of their own; revenue of one currency each."


Values = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "array", "items": {"type": "string"}})]
"""The values of one filter; each dimension's are read apart."""
NotLookedAt = Annotated[msgspec.Raw | msgspec.UnsetType, described("Not looked at: the key decides.")]
"""A workspace that is named in a body (hostile-input.md 31)."""


class QueryBody(Struct, forbid_unknown_fields=True):
    """Body of POST /v1/query."""

    metrics: Annotated[list[Annotated[str, one_of(*METRICS)]], described(_METRICS_SAY, minItems=1)]
    dimensions: list[Annotated[str, one_of(*ASKED_BY)]] = []
    filters: Annotated[
        dict[Annotated[str, one_of(*ASKED_BY)], Values], described("Dimension to the values that it may have.")
    ] = {}
    start: Annotated[str | None, described("Default: 30 days before `to`.")] = field(default=None, name="from")
    end: Annotated[str | None, described("Default: now.")] = field(default=None, name="to")
    timezone: Annotated[str, described("IANA zone, or an offset such as +05:45.")] = "UTC"
    resolution: Annotated[str, one_of("total", "quarter_hour", "hour", "day", "week", "month")] = "total"
    order_by: Annotated[str | list[str], described("Fields of the answer; `-` before one: descending.")] = []
    limit: Annotated[int, described("Rows of a page.", minimum=1, maximum=10000)] = 10_000
    cursor: Annotated[str | None, described("next_cursor of the page before.")] = None
    workspace: NotLookedAt = msgspec.UNSET
    workspace_id: NotLookedAt = msgspec.UNSET


class QueryUnderstood(Struct):
    """The query as understood, defaults filled in."""

    metrics: list[str]
    dimensions: list[str]
    filters: dict[str, list[str]]
    start: Timestamp = field(name="from")
    end: Timestamp = field(name="to")
    timezone: str
    resolution: str
    order_by: list[str]
    limit: int


class QueryAnswer(Struct):
    """POST /v1/query. A row: timestamp (unless total), the dimensions, the metrics."""

    data: list[dict[str, Any]]
    query: QueryUnderstood
    next_cursor: str | None


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/query",
        document=NATIVE,
        service=Service.QUERY,
        summary="Any metric by any dimension",
        scope="analytics",
        limit=Limit.READ,
        max_body=256 * 1024,
        repeatable=True,
        body=QueryBody,
        answer=QueryAnswer,
        caching=Caching.BY_QUARTER_HOUR,
    ),
)
