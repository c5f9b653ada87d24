"""What the gateway does with a request: route it, find out who asks, pass it on, give the answer back."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from urllib.parse import unquote

import msgspec
from aiohttp import HttpVersion11, web

from postmeter.gateway.hits.stand_in import Hits, client_of
from postmeter.gateway.limits.limits import Limits
from postmeter.gateway.metrics import GatewayMetrics
from postmeter.gateway.pages.pages import Pages
from postmeter.gateway.people.callers import Callers
from postmeter.gateway.proxy.answer import pass_back
from postmeter.gateway.proxy.lifetimes import Lifetime
from postmeter.gateway.proxy.sources import SourceBook
from postmeter.gateway.proxy.upstream import KEPT, Upstream, target
from postmeter.gateway.routes import Handler, Routes, require_media
from postmeter.shared.apis.documents import exports
from postmeter.shared.apis.documents.vectis import CLICK_PATH, OPEN_PATH
from postmeter.shared.apis.endpoint import Endpoint, Service
from postmeter.shared.apis.mail import unsubscribe, webhooks
from postmeter.shared.apis.privacy import preferences
from postmeter.shared.apis.queries.live import LIVE_ENDPOINT
from postmeter.shared.auth import principal, sealed
from postmeter.shared.auth.principal import Principal
from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import RequestError
from postmeter.shared.http import failures, request_ids
from postmeter.shared.http.bodies import IncomingBody, LargeBodies
from postmeter.shared.http.clients import client_address
from postmeter.shared.http.clients.trusted_hops import TrustedHops
from postmeter.shared.http.large_answers import LargeAnswers
from postmeter.shared.http.refusals import finish, refusal
from postmeter.shared.links import hits, tokens
from postmeter.shared.process import traces
from postmeter.shared.process.traces import UNTRACED, Trace, Traces
from postmeter.shared.storage import sources

LIVE_PATH = LIVE_ENDPOINT.path
_PASSED_ON = ("Content-Type", "Accept", "Accept-Language", "User-Agent", "Last-Event-ID", "If-None-Match")
_HELD_BACK = frozenset(
    ("host", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect", "cookie",
     "content-length", "content-encoding", "accept-encoding", "x-forwarded-for", "forwarded", "x-request-id",
     *map(str.lower, _PASSED_ON))
)  # fmt: skip
"""Headers of a webhook that concern only the connection between its caller and us, or are passed on of every request;
a signature may be in any other."""


@dataclass(frozen=True)
class Proxy:
    """The gateway's handler and what it needs."""

    routes: Routes
    callers: Callers
    limits: Limits
    pages: Pages
    own: Mapping[tuple[str, str], Handler]
    sources: SourceBook
    hits: Hits
    upstreams: dict[Service, Upstream]
    downloads: Upstream
    live: Upstream
    large: LargeBodies
    answers: LargeAnswers
    secret: Secret
    metrics: GatewayMetrics
    hops: TrustedHops
    traces: Traces

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to any request; never raises for what a caller sent."""
        began = time.perf_counter()
        request_id = request_ids.of(request.headers.get(request_ids.HEADER))
        path = request.raw_path.partition("?")[0]
        label = "other"
        exemplar = {"request_id": request_id}
        response: web.StreamResponse
        try:
            if request.method in hits.METHODS and hits.is_at(path):
                label = OPEN_PATH if path.startswith(OPEN_PATH) else CLICK_PATH
                exemplar = {}  # a hit's id is in no log
                response = await self.hits.answer(request)
                finish(response, request_id)
            else:
                endpoint = self.routes.find(request.method, path)
                label = endpoint.path
                with self._traced(request, endpoint, request_id) as trace, failures.translated(endpoint):
                    exemplar |= trace.exemplar
                    response = await self._api(request, endpoint, request_id, trace)
                    trace.answered(response.status)
        except RequestError as error:
            error.with_traceback(None).__context__ = None  # frames that hold the body, and the body may hold the error
            response = refusal(request.method, path, error, request_id)
            if error.status in (400, 408, 413, 415) and request.can_read_body:
                response.force_close()  # the rest of the body is not worth reading
        if label != LIVE_PATH or response.status != 200:  # how long somebody looked on is not how long an answer took
            self.metrics.requests.labels(label, response.status).observe(time.perf_counter() - began, exemplar or None)
        return response

    def _traced(self, request: web.BaseRequest, endpoint: Endpoint, request_id: str) -> AbstractContextManager[Trace]:
        """The request's trace: of what query-service answers, and of nothing else (ADR 0036)."""
        if endpoint.service is not Service.QUERY:
            return nullcontext(UNTRACED)
        traceparent = request.headers.get(traces.HEADER)
        return self.traces.begin(request.method, endpoint.path, request_id, traceparent)

    async def _api(
        self, request: web.BaseRequest, endpoint: Endpoint, request_id: str, trace: Trace
    ) -> web.StreamResponse:
        caller = await self._caller(request, endpoint)
        if caller is not None:
            trace.belongs_to(caller.workspace_id)
        counted = await self.limits.count(caller.workspace, endpoint.limit) if caller is not None else {}
        names = _names(endpoint, caller, request.raw_path.partition("?")[0])
        safe = endpoint.method == "GET" or endpoint.service is Service.QUERY
        response: web.StreamResponse
        try:
            if not safe:
                self.answers.require_room(names[0])
            if endpoint.service is Service.GATEWAY:
                response = await self._own(request, endpoint, caller, request_id, counted)
            else:
                response = await self._pass_on(request, endpoint, caller, names, request_id, counted, trace)
            if caller is not None or endpoint.service is not Service.GATEWAY:
                # A page is the same for everybody, and lies here once.
                await self.answers.send(names[0], request, response, safe=safe)
            return response
        except failures.ANSWERABLE as error:
            # No name for it here: this frame and it would hold each other, and the body with them.
            raise _with_headers(failures.answered(error, endpoint), counted) from None

    async def _own(
        self,
        request: web.BaseRequest,
        endpoint: Endpoint,
        caller: Principal | None,
        request_id: str,
        counted: dict[str, str],
    ) -> web.Response:
        """The gateway's own answer."""
        handler = self.own.get((endpoint.method, endpoint.path))
        if handler is None:
            response = self.pages.answer(request, endpoint)
        else:
            body = await self._body(request, endpoint)
            async with self.large.of(None if caller is None else caller.workspace, request) as turn:
                read = await body.read(turn, KEPT) if body is not None else b""
                response = await handler(request, caller, read)
        response.headers.update(counted)
        finish(response, request_id)
        return response

    async def _body(self, request: web.BaseRequest, endpoint: Endpoint) -> IncomingBody | None:
        """Not yet read; None where none is taken."""
        if not endpoint.max_body:
            return None
        require_media(request, endpoint)
        body = IncomingBody(request, endpoint.max_body)
        await _continue(request)
        return body

    async def _pass_on(
        self,
        request: web.BaseRequest,
        endpoint: Endpoint,
        caller: Principal | None,
        names: tuple[Hashable, ...],
        request_id: str,
        counted: dict[str, str],
        trace: Trace,
    ) -> web.StreamResponse:
        """The service's answer, with the headers of the limit that it was `counted` against.

        names: whose turn it takes.
        """
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        if endpoint.service is Service.TRACKING:
            client = client_of(request, self.hops)
            headers[client_address.HEADER] = self._seal(client_address.HEADER, client, endpoint, request)
        headers[request_ids.HEADER] = request_id
        trace.pass_on(headers)
        if caller is not None:
            who = msgspec.structs.replace(caller, request_id=request_id)
            headers[principal.HEADER] = self._seal(principal.HEADER, who, endpoint, request)
        if endpoint.path == webhooks.PATH:
            *_, provider, source_id = request.raw_path.partition("?")[0].split("/")
            source = await self.sources.find(provider, source_id)
            # Who knows a source's URL needs no key: beside the workspace's own turns, and of its webhooks' only a part.
            names = (("webhooks", source.workspace), source.id)
            named = msgspec.structs.replace(source, request_id=request_id)
            headers = _of_webhook(request) | headers
            headers[sources.HEADER] = self._seal(sources.HEADER, named, endpoint, request)
        body = await self._body(request, endpoint)
        upstream = self.downloads if endpoint.path == exports.DOWNLOAD_PATH else self.upstreams[endpoint.service]
        until = None
        if endpoint.streams:
            upstream = self.live
            until = Lifetime(request, caller, lambda: self._caller(request, endpoint, is_use=False)).ends
        async with upstream.ask(endpoint, request.raw_path, headers, body, names) as answer:
            return await pass_back(request, answer, request_id, counted, until)

    def _seal(self, name: str, struct: msgspec.Struct, endpoint: Endpoint, request: web.BaseRequest) -> str:
        return sealed.seal(name, struct, self.secret, endpoint.method, target(request.raw_path))

    async def _caller(self, request: web.BaseRequest, endpoint: Endpoint, *, is_use: bool = True) -> Principal | None:
        return None if endpoint.is_public else await self.callers.require(request, endpoint, is_use=is_use)


def _with_headers(error: RequestError, headers: dict[str, str]) -> RequestError:
    error.headers = headers | error.headers
    return error


def _names(endpoint: Endpoint, caller: Principal | None, path: str) -> tuple[Hashable, ...]:
    """Whose turns at the service a request takes. What many strangers may ask for takes those of whom it is about."""
    if caller is not None:
        return (caller.workspace,)
    if endpoint.path == exports.DOWNLOAD_PATH:
        *_, workspace, _, _, export, _ = map(unquote, path.split("/"))
        return workspace, export
    if endpoint.path.startswith(unsubscribe.UNSUBSCRIBE_PATH):
        # Beside the workspace's own turns: nothing else that it does may keep people from unsubscribing.
        token = path.removeprefix(unsubscribe.UNSUBSCRIBE_PATH).encode(errors="replace")
        return (("unsubscribe", tokens.workspace_of(token)),)
    if endpoint.path.startswith(preferences.PREFERENCES_PATH):
        token = path.removeprefix(preferences.PREFERENCES_PATH).encode(errors="replace")
        return (("preferences", tokens.workspace_of(token)),)
    return ("public",)


def _of_webhook(request: web.BaseRequest) -> dict[str, str]:
    """All headers that may sign a delivery; of two that are equal both are told, as of two Authorization headers."""
    names = {name.lower() for name in request.headers} - _HELD_BACK
    return {name: ", ".join(request.headers.getall(name)) for name in names if not name.startswith("postmeter-")}


async def _continue(request: web.BaseRequest) -> None:
    """Answer `Expect: 100-continue` once the head is accepted, so that refused bodies are never sent.

    A client of HTTP/1.0 would take that for the answer (RFC 9110, 10.1.1).
    """
    if "Expect" not in request.headers or request.version < HttpVersion11:
        return
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0
