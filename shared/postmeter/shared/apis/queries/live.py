"""`GET /v1/live`: server-sent events."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from postmeter.shared.apis.document import NATIVE
from postmeter.shared.apis.endpoint import Caching, Endpoint, Limit, Service, described


class LiveParameters(Struct):
    """Query of GET /v1/live."""

    events: Annotated[str, described("1: events too, not counters alone.", enum=["0", "1"])] = "0"


LIVE_ENDPOINT = Endpoint(
    method="GET",
    path="/v1/live",
    caching=Caching.NEVER,
    document=NATIVE,
    service=Service.QUERY,
    summary="Counters once a second, and events as they are counted: server-sent events",
    scope="analytics",
    limit=Limit.READ,
    parameters=LiveParameters,
    media="text/event-stream",
    streams=True,
)
