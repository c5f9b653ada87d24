"""What stands between a service's router and its handlers, the same for every row of the endpoint table.

It verifies the caller by the gateway's seal and checks scope and role; it bounds the body as the row says, and has a
large one take its turn, until its answer is made; it bounds what large answers hold; it turns what is raised
into an error in the envelope of the row's document; and it measures how long that took.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Hashable, Iterable
from contextlib import ExitStack
from typing import TypeVar

import msgspec
from aiohttp import web
from prometheus_client import Histogram

from postmeter.shared.apis.endpoint import Endpoint, Service
from postmeter.shared.apis.mail import webhooks
from postmeter.shared.auth import principal
from postmeter.shared.auth.principal import NOBODY, Principal, authorize
from postmeter.shared.auth.sealed import Seals
from postmeter.shared.errors import RequestError
from postmeter.shared.http import failures, refusals
from postmeter.shared.http.bodies import IncomingBody, LargeBodies, Turn
from postmeter.shared.http.large_answers import LargeAnswers
from postmeter.shared.process import logs, traces
from postmeter.shared.process.traces import UNTRACED, Traces
from postmeter.shared.storage import sources
from postmeter.shared.storage.sources import SealedSource

T = TypeVar("T", bound=msgspec.Struct)
Explain = Callable[[Exception], RequestError | None]
"""What an error that is not ours means to a caller; None: a fault."""
_BOM = b"\xef\xbb\xbf"


class Asked:
    """One request that has passed the checks. principal: NOBODY at a public endpoint. source: a webhook's, or None."""

    def __init__(
        self, request: web.Request, endpoint: Endpoint, who: Principal, source: SealedSource | None, turn: Turn
    ) -> None:
        self.request = request
        self.endpoint = endpoint
        self.principal = who
        self.source = source
        self._turn = turn
        self._body: bytes | None = None

    async def read(self) -> bytes:
        """The body byte for byte, empty where the row takes none. Raises RequestError 400, 408, 413, 415, 503."""
        if self._body is None:
            most = self.endpoint.max_body
            self._body = await IncomingBody(self.request, most).read(self._turn) if most else b""
        return self._body

    async def text(self) -> bytes:
        """The body without a byte order mark. Raises as `read`."""
        return (await self.read()).removeprefix(_BOM)


Handler = Callable[[Asked], Awaitable[web.StreamResponse]]


class Answerer:
    """Makes routes of the table's rows. requests: the metric of seconds by endpoint and status."""

    def __init__(
        self, seals: Seals, requests: Histogram, explain: Explain | None = None, tracing: Traces = traces.OFF
    ) -> None:
        self._seals = seals
        self._requests = requests
        self._explain = explain
        self._tracing = tracing
        self._answers = LargeAnswers()
        self._large = LargeBodies(self._answers)
        self._refused = logs.Seldom("requests are refused for now")

    def routes(self, endpoints: Iterable[Endpoint], handler_of: Callable[[Endpoint], Handler]) -> list[web.RouteDef]:
        """A route for each row."""
        return [self._route(endpoint, handler_of(endpoint)) for endpoint in endpoints]

    def _route(self, endpoint: Endpoint, handler: Handler) -> web.RouteDef:
        async def answer(request: web.Request) -> web.StreamResponse:
            return await self._answer(endpoint, handler, request)

        # A placeholder is any one segment: what is wrong with it is said in the document's envelope.
        return web.route(endpoint.method, endpoint.path.replace("}", ":[^/]+}"), answer)

    async def _answer(self, endpoint: Endpoint, handler: Handler, request: web.Request) -> web.StreamResponse:
        began = time.perf_counter()
        exemplar: dict[str, str] = {}
        request_id = ""
        with ExitStack() as held:
            trace = UNTRACED
            try:
                who, source = NOBODY, None
                whose: Hashable = None
                if endpoint.path == webhooks.PATH:
                    source = self._open(endpoint, request, sources.HEADER, SealedSource)
                    request_id, whose = source.request_id, ("webhooks", source.workspace)
                    logs.bind_request(request_id)
                elif endpoint.scope is not None:
                    who = self._open(endpoint, request, principal.HEADER, Principal)
                    request_id, whose = who.request_id, who.workspace
                    logs.bind_request(request_id)
                    # Whoever reaches this port may send a traceparent; the gateway's comes with a seal that is genuine.
                    traceparent = request.headers.get(traces.HEADER)
                    resumed = self._tracing.resume(request.method, endpoint.path, request_id, traceparent)
                    trace = held.enter_context(resumed)
                    trace.belongs_to(who.workspace_id)
                    authorize(endpoint, who)
                exemplar = {"request_id": request_id, **trace.exemplar} if request_id else {}
                safe = endpoint.service is Service.QUERY
                if not safe:
                    self._answers.require_room(whose)
                async with self._large.of(whose, request) as turn:
                    response = await handler(Asked(request, endpoint, who, source, turn))
                ended = time.perf_counter()
                await self._answers.send(whose, request, response, safe=safe)
            except Exception as error:
                response = self._failure(error, endpoint, request, request_id)
                ended = time.perf_counter()
                error.with_traceback(None).__context__ = None  # as in Server
            trace.answered(response.status)
        if not endpoint.streams or response.status != 200:
            self._requests.labels(endpoint.path, response.status).observe(ended - began, exemplar or None)
        return response

    def _open(self, endpoint: Endpoint, request: web.Request, header: str, kind: type[T]) -> T:
        return self._seals.open(
            header, kind, request.headers, request.method, request.raw_path, repeatable=endpoint.repeatable
        )

    def _failure(self, error: Exception, endpoint: Endpoint, request: web.Request, request_id: str) -> web.Response:
        if isinstance(error, failures.ANSWERABLE):
            known: RequestError | None = failures.answered(error, endpoint)
        else:
            known = self._explain(error) if self._explain is not None else None
        if known is None:
            # Not the path as it came: a reader's own links have their token in it.
            logs.get().error("a request failed", path=endpoint.path, request_id=request_id, exc_info=error)
            known = refusals.of_fault(500, error)
        elif known.status == 503:
            # Callers come again, thousands of them at the same time.
            self._refused.note(path=endpoint.path, request_id=request_id, error=logs.words(error))
        elif known.status >= 500:
            logs.get().warning("a request failed", path=endpoint.path, request_id=request_id, error=logs.words(error))
        response = refusals.answer(endpoint.document, known, request_id)
        if request.body_exists and not request.content.is_eof():
            response.force_close()  # the rest of the body is not worth reading
        return response
