"""Records spans and sends them to a collector, by OpenTelemetry and as its own variables (OTEL_*) say.

Spans wait in a bounded queue and are sent by a thread: a collector that is away, silent or talks nonsense costs
spans, and no request its answer. A span holds what this module puts there, and nothing that a caller has sent but the
request's id: no URL, no parameter of a query, no text of an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import requests
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from postmeter.shared.errors import RequestError, SettingsError
from postmeter.shared.process import logs
from postmeter.shared.process.traces import HEADER, Trace, Traces
from postmeter.shared.storage import known_types, sql
from postmeter.shared.storage.postgres import ConnectionClass
from postmeter.shared.text import quoting

STOP_SECONDS = 2.0
"""How long a stopping service waits for the collector to take its last spans."""
PROTOCOL = "http/protobuf"
_TRACEPARENT_BYTES = 128
"""Of a header that is looked at; version 00 has 55."""
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_LIBRARIES = ("opentelemetry", "urllib3")
_ENDING = "postmeter-last-spans"
_SAID = 500
"""Characters of what OpenTelemetry says of a wrong setting."""

_propagator = TraceContextTextMapPropagator()


class RecordedTrace(Trace):
    """A request with a span, be it recorded or, by the sampler's decision, not."""

    def __init__(self, span: Span) -> None:
        self._span = span
        context = span.get_span_context()
        self.id = trace.format_trace_id(context.trace_id) if context.trace_flags.sampled else ""

    def belongs_to(self, workspace_id: str) -> None:
        """Note the workspace."""
        self._span.set_attribute("postmeter.workspace", workspace_id)

    def answered(self, status: int) -> None:
        """Note the status; from 500 on the span has failed."""
        _answered(self._span, status)

    def pass_on(self, headers: dict[str, str]) -> None:
        """Add the traceparent, also of a request that is not recorded: query-service must not record it either."""
        _propagator.inject(headers, trace.set_span_in_context(self._span, Context()))


class Recording(Traces):
    """The traces of a process that records them; `service` is its name where OTEL_SERVICE_NAME says none."""

    def __init__(self, service: str) -> None:
        self._complaints = _Complaints()
        with self._complaints.at_start():
            _check(_ENDPOINTS, "takes http://host:port or https://host:port", _is_url)
            _check(_PROTOCOLS, f"takes {PROTOCOL}", PROTOCOL.__eq__)
            self._provider = TracerProvider(resource=_resource(service), shutdown_on_exit=False)
            session = requests.Session()
            session.stream = True  # a collector's status is all that is read: its answer may have no end
            self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(session=session)))
        self._tracer = self._provider.get_tracer("postmeter")
        self.connection_class = _connection_class(self._tracer)

    def begin(self, method: str, route: str, request_id: str, traceparent: str | None) -> AbstractContextManager[Trace]:
        """See Traces. A root, so that this process's sampler decides."""
        theirs = trace.get_current_span(_context(traceparent)).get_span_context()
        links = [Link(theirs)] if theirs.is_valid else []
        return self._server(method, route, request_id, Context(), links)

    def resume(
        self, method: str, route: str, request_id: str, traceparent: str | None
    ) -> AbstractContextManager[Trace]:
        """See Traces."""
        return self._server(method, route, request_id, _context(traceparent))

    @contextlib.contextmanager
    def _server(
        self, method: str, route: str, request_id: str, context: Context, links: Sequence[Link] = ()
    ) -> Iterator[Trace]:
        named = {"http.request.method": method, "http.route": route, "postmeter.request_id": request_id}
        with _running(self._tracer, f"{method} {route}", context, SpanKind.SERVER, named, links) as span:
            recorded = RecordedTrace(span)
            with logs.of_trace(recorded.id) if recorded.id else contextlib.nullcontext():
                yield recorded

    async def close(self) -> None:
        """Send what waits, for STOP_SECONDS at most; a thread that hangs on the collector ends with the process."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def end() -> None:
            self._provider.shutdown()
            with contextlib.suppress(RuntimeError):  # the loop was faster
                loop.call_soon_threadsafe(ended.set)

        threading.Thread(target=end, name=_ENDING, daemon=True).start()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), STOP_SECONDS)
            self._complaints.end()


def _connection_class(tracer: trace.Tracer) -> ConnectionClass:
    """A connection each of whose named queries is a span, where the request that needs it is recorded."""

    def recorded(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @functools.wraps(method)
        async def ask(self: Any, query: str, *arguments: Any, **options: Any) -> Any:
            name = sql.name_of(query) if trace.get_current_span().is_recording() else ""
            if not name:
                return await method(self, query, *arguments, **options)
            with _running(tracer, name, None, SpanKind.CLIENT, {"db.system.name": "postgresql"}):
                return await method(self, query, *arguments, **options)

        return ask

    plain = known_types.Connection
    members = {ask.__name__: recorded(ask) for ask in (plain.execute, plain.fetch, plain.fetchrow, plain.fetchval)}
    return type("RecordedConnection", (plain,), members)


@contextlib.contextmanager
def _running(
    tracer: trace.Tracer,
    name: str,
    context: Context | None,
    kind: SpanKind,
    attributes: dict[str, str],
    links: Sequence[Link] = (),
) -> Iterator[Span]:
    """A span that is the current one until it ends; whatever is raised in it is noted by its class alone."""
    span = tracer.start_span(name, context, kind, attributes, links)
    with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield span
        except RequestError as error:
            _answered(span, error.status)
            raise
        except BaseException as error:
            if isinstance(error, asyncpg.PostgresError):
                span.set_attribute("db.response.status_code", error.sqlstate or "")
            _failed(span, type(error).__name__)
            raise


def _answered(span: Span, status: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        _failed(span, str(status))


def _failed(span: Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))


def _context(traceparent: str | None) -> Context:
    """What a traceparent names; nothing where it is missing or not one."""
    if traceparent is None or len(traceparent) > _TRACEPARENT_BYTES:
        return Context()
    return _propagator.extract({HEADER: traceparent}, Context())


def _resource(service: str) -> Resource:
    """What a collector is told of the process: as the environment says, else its name, and ours."""
    found = Resource.create()
    if str(found.attributes[SERVICE_NAME]).startswith("unknown_service"):
        found = found.merge(Resource({SERVICE_NAME: f"postmeter-{service}"}))
    return Resource({SERVICE_NAMESPACE: "postmeter", SERVICE_VERSION: version("postmeter")}).merge(found)


def _check(names: tuple[str, ...], takes: str, test: Callable[[str], bool]) -> None:
    for name in names:
        value = os.environ.get(name)
        if value and not test(value):
            raise SettingsError(f"{name} {takes}, not {quoting.quoted(value)}; see docs/operating.md")


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


class _Complaints(logging.Handler):
    """What OpenTelemetry says of failures: while a service starts an error of its settings, later a line in the log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._loop, self._context = asyncio.get_running_loop(), contextvars.copy_context()
        self._line = logs.Seldom("the collector of traces fails")
        self._at_start: list[str] | None = []
        self._thread = threading.get_ident()
        for name in _LIBRARIES:
            logging.getLogger(name).addHandler(self)

    @contextlib.contextmanager
    def at_start(self) -> Iterator[None]:
        """Raises SettingsError for whatever is said or raised inside."""
        try:
            yield
            if self._at_start:
                raise ValueError(" ".join(self._at_start))
        except SettingsError:
            self.end()
            raise
        except Exception as error:
            self.end()
            said = quoting.clean(str(error), _SAID)
            raise SettingsError(f"a setting of OpenTelemetry (OTEL_*) is wrong: {said}") from None
        self._at_start = None

    def end(self) -> None:
        """Listen no more."""
        for name in _LIBRARIES:
            logging.getLogger(name).removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Take what is said, in whatever thread. Never raises: a request may be what it is said in."""
        with contextlib.suppress(Exception):
            # That of a header that is not one would show it, and it is mostly a secret.
            text = record.getMessage() if record.name != "opentelemetry.util.re" else str(record.msg)
            # Settings are read in the thread that starts; what another one says is of spans on their way.
            if self._at_start is not None and record.thread == self._thread:
                self._at_start.append(text)
            else:
                # In the service's own context: the line names the service, and not a request that is just on.
                self._loop.call_soon_threadsafe(functools.partial(self._line.note, said=text), context=self._context)
