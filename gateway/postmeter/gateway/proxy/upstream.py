"""Requests to one service behind the gateway: bounded in number, timed, tried again only where that is safe."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
from yarl import URL

from postmeter.gateway.metrics import GatewayMetrics
from postmeter.shared.apis.codes import Code
from postmeter.shared.apis.endpoint import Endpoint, Service
from postmeter.shared.apis.mail import webhooks
from postmeter.shared.errors import RequestError
from postmeter.shared.http.bodies import IncomingBody
from postmeter.shared.http.concurrency import ConcurrencyLimiter
from postmeter.shared.process import logs
from postmeter.shared.text import quoting

CONNECT_SECONDS = 1.0
UNREACHED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""Nobody is there, or a node is gone and silent: either way another replica may be reached."""
RESTART_SECONDS = 2.0
"""How long to wait for a service that refuses connections, as a restarting one does."""
BUFFERED = 1 << 20
"""Bodies up to this many bytes are read before they are passed on, so that they can be sent again."""
REFUSAL = 1000
"""Bytes that are told of a service's 401, which says why it does not know the gateway."""
SIGNATURE = b"WEBHOOK_REFUSED"
"""The code of a 401 that is meant for the provider: its delivery's signature is wrong."""
KEPT = 16 << 10
"""What is kept of such a body before the request has its turn: those that wait or are slow have little."""


def target(raw_path: str) -> str:
    """Path and query as they are sent to a service, for those of a request as it came."""
    return URL(f"http://service{raw_path}", encoded=True).raw_path_qs


class Upstream:
    """One service, and the turns that requests of one kind have there.

    body_seconds: what a caller has for its body, which is passed on as it comes.
    """

    def __init__(
        self, service: Service, url: str, limiter: ConcurrencyLimiter, metrics: GatewayMetrics, body_seconds: float
    ) -> None:
        self._service = service
        self._url = url.rstrip("/")
        self._limiter = limiter
        self._metrics = metrics
        self._body_seconds = body_seconds
        self._failures = logs.Seldom(f"{service}-service does not answer")
        self._refusals = logs.Seldom(f"{service}-service refuses what the gateway passes on")
        self._refusal: str | None = None
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=20),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    def warning(self) -> str | None:
        """That the service does not know this gateway, as it said last."""
        if self._refusal is None:
            return None
        return (
            f"{self._service}-service refuses what this gateway passes on ({self._refusal}), so callers get 502:"
            " POSTMETER_INTERNAL_SECRET must be the same in both, and their clocks within half a minute of each other"
        )

    @asynccontextmanager
    async def ask(
        self,
        endpoint: Endpoint,
        raw_path: str,
        headers: Mapping[str, str],
        body: IncomingBody | None,
        names: tuple[Hashable, ...],
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The service's answer, its body not yet read. `names`: whose turn it takes.

        Raises RequestError: 502, 503, 504, or the body's own.
        """
        payload: bytes | IncomingBody | None = body
        async with AsyncExitStack() as held:

            async def turn() -> None:
                if body is None or body.ended:
                    await self._limiter.take(held, names)
                else:
                    await self._limiter.take(held, names, body.request, body.kept)

            try:
                if body is None:
                    await turn()
                elif endpoint.max_body > BUFFERED:
                    await body.begin()  # who sends none takes no turn, and nobody waits for it behind us
                    await turn()
                elif len(payload := await body.read(turn, KEPT)) <= KEPT:
                    await turn()
            except TimeoutError:
                raise self._failure("busy", 503, "UNAVAILABLE", "The service has too much to do.") from None
            response = await self._send(endpoint, raw_path, headers, payload)
            try:
                if endpoint.scope is not None or endpoint.path == webhooks.PATH:
                    await self._require_known(endpoint, response)
                yield response
            finally:
                response.release()

    async def _require_known(self, endpoint: Endpoint, response: aiohttp.ClientResponse) -> None:
        """Raise RequestError 502 where the service takes the gateway for a stranger: that is not the caller's fault."""
        try:
            said = await response.read() if response.status == 401 else b""
        except (TimeoutError, aiohttp.ClientError) as error:  # whose 401 it was is not known
            self._failures.note(error=logs.words(error))
            raise self._failure("connect", 502, "BAD_GATEWAY", "The service's answer broke off.") from None
        if response.status != 401 or (endpoint.path == webhooks.PATH and SIGNATURE in said):
            self._refusal = None
            return
        self._refusal = quoting.quoted(said[:REFUSAL])
        self._refusals.note(said=self._refusal)
        raise self._failure("refused", 502, "BAD_GATEWAY", "The service behind this gateway does not know it.")

    async def _send(
        self, endpoint: Endpoint, raw_path: str, headers: Mapping[str, str], payload: bytes | IncomingBody | None
    ) -> aiohttp.ClientResponse:
        loop = asyncio.get_running_loop()
        give_up, pause = loop.time() + RESTART_SECONDS, 0.02
        repeatable = endpoint.repeatable  # a GET is sent again once by aiohttp itself
        while True:
            try:
                return await self._once(endpoint, raw_path, headers, payload)
            except (TimeoutError, aiohttp.ClientError) as error:
                if isinstance(payload, IncomingBody) and payload.error is not None:
                    raise payload.error from None
                if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError):
                    raise self._failure("timeout", 504, "GATEWAY_TIMEOUT", "The service took too long.") from None
                never_left = isinstance(error, UNREACHED) and not (isinstance(payload, IncomingBody) and payload.begun)
                if not (never_left or repeatable) or loop.time() + pause > give_up:
                    self._failures.note(error=logs.words(error))
                    raise self._failure("connect", 502, "BAD_GATEWAY", "The service does not answer.") from None
                repeatable = repeatable and never_left
            await asyncio.sleep(pause)
            pause = min(2 * pause, 0.2)

    async def _once(
        self, endpoint: Endpoint, raw_path: str, headers: Mapping[str, str], payload: bytes | IncomingBody | None
    ) -> aiohttp.ClientResponse:
        # The service's seconds are its own: a body may take all of its time before they begin.
        passed_on = isinstance(payload, IncomingBody)
        if endpoint.streams:
            total, sock_read = None, endpoint.timeout
        elif passed_on:
            total, sock_read = endpoint.timeout + self._body_seconds, endpoint.timeout
        else:
            total, sock_read = endpoint.timeout, None
        return await self._session.request(
            endpoint.method,
            URL(self._url + raw_path, encoded=True),
            headers=headers,
            data=payload.pieces() if isinstance(payload, IncomingBody) else payload,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=total, sock_read=sock_read, sock_connect=CONNECT_SECONDS),
        )

    def _failure(self, cause: str, status: int, code: Code, message: str) -> RequestError:
        self._metrics.upstream_failures.labels(self._service.value, cause).inc()
        return RequestError(status, code, message, None, {"Retry-After": "1"})
