"""A collector of OpenTelemetry's spans, as far as a test needs one: OTLP over HTTP on loopback."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.integration.running_query import listening
from tests.product import PATIENCE


@dataclass(frozen=True)
class Collected:
    """One span. parent: the id of the span that it is a part of, empty for the first of a trace."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    kind: str
    attributes: dict[str, Any]
    links: list[str]
    failed: bool

    @classmethod
    def of(cls, span: Span, service: str) -> "Collected":
        return cls(
            service=service,
            name=span.name,
            trace=span.trace_id.hex(),
            id=span.span_id.hex(),
            parent=span.parent_span_id.hex(),
            kind=Span.SpanKind.Name(span.kind),
            attributes={one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes},
            links=[link.trace_id.hex() for link in span.links],
            failed=span.status.code == Status.STATUS_CODE_ERROR,
        )


@dataclass
class Collector:
    """What has come: spans in the order of their ends, and the bytes of it all."""

    spans: list[Collected] = field(default_factory=list)
    raw: bytes = b""
    _more: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        async with self._more:
            self.raw += body
            for process in ExportTraceServiceRequest.FromString(body).resource_spans:
                resource = {one.key: one.value.string_value for one in process.resource.attributes}
                for scope in process.scope_spans:
                    self.spans += [Collected.of(span, resource["service.name"]) for span in scope.spans]
            self._more.notify_all()
        return web.Response(
            body=ExportTraceServiceResponse().SerializeToString(), content_type="application/x-protobuf"
        )

    async def requests(self, request_id: str, number: int = 2) -> list[Collected]:
        """The spans of one request, that of the gateway first, once `number` services have sent theirs."""

        def found() -> list[Collected]:
            mine = [span for span in self.spans if span.attributes.get("postmeter.request_id") == request_id]
            return sorted(mine, key=lambda span: span.service)

        await self.until(lambda: len(found()) >= number)
        return found()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE), self._more:
            await self._more.wait_for(condition)

    def below(self, span: Collected) -> list[Collected]:
        return [one for one in self.spans if one.parent == span.id]


@asynccontextmanager
async def collecting() -> AsyncIterator[tuple[Collector, str]]:
    """A collector, and its base URL."""
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.take)
    async with listening(web.AppRunner(app, shutdown_timeout=0.1)) as url:
        yield collector, url
