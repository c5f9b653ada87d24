"""Tracking URLs: passed through byte for byte, and still answered while tracking-service is down.

A hit is tried again only if it never left. A pixel that tracking-service did not answer is served from here;
a click whose token is genuine is redirected from here. Both carry `Postmeter-Dropped` and are counted as
dropped, for they are in no statistics. A link that never works is refused with the status that
tracking-service gives it: to try again would not help.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from postmeter.gateway.hits.client import HitAnswer, HitClient, NoAnswer, NotSent
from postmeter.gateway.metrics import GatewayMetrics
from postmeter.shared.apis.documents.vectis import CLICK_PATH, OPEN_PATH
from postmeter.shared.auth import sealed
from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import ClickRefused
from postmeter.shared.http.clients import client_address
from postmeter.shared.http.clients.client_address import Client
from postmeter.shared.http.clients.trusted_hops import TrustedHops
from postmeter.shared.links import click_url, hits, tokens
from postmeter.shared.links.hits import GIF, PIXEL_HEADERS
from postmeter.shared.process import logs

RESTART_SECONDS = 2.0
"""How long to wait for a restarting tracking-service."""
ANSWER_SECONDS = 5.0
_PASSED_BACK = frozenset(
    {
        b"content-type",
        b"content-length",
        b"cache-control",
        b"pragma",
        b"expires",
        b"location",
        b"content-security-policy",
        b"postmeter-dropped",
    }
)
_LATER = hits.page(
    503,
    "One moment",
    "This link cannot be opened right now. The page tries again by itself.",
    head='<meta http-equiv="refresh" content="3">',
)
_LATER.headers["Retry-After"] = "3"


class Hits:
    """Answers the public tracking URLs."""

    def __init__(
        self,
        client: HitClient,
        ring: tokens.KeyRing | None,
        metrics: GatewayMetrics,
        hops: TrustedHops,
        secret: Secret,
    ) -> None:
        self._client = client
        self._ring = ring
        self._metrics = metrics
        self._hops = hops
        self._secret = secret
        self._passed_on, self._dropped, self._refused, self._unavailable = (
            metrics.hits.labels(outcome) for outcome in ("passed_on", "dropped", "refused", "unavailable")
        )
        self._unanswered = logs.Seldom("tracking-service did not answer hits")

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """tracking-service's answer, or one from here."""
        head = request.method == "HEAD"
        raw = self._write(request)
        loop = asyncio.get_running_loop()
        give_up = loop.time() + RESTART_SECONDS
        pause = 0.02
        while True:
            try:
                response = _response(await self._client.fetch(raw, head=head, seconds=ANSWER_SECONDS))
            except NotSent as error:
                if loop.time() + pause < give_up:
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, 0.2)
                    continue
                return self._stand_in(request, "not_sent", error)
            except NoAnswer as error:
                return self._stand_in(request, "no_answer", error)
            except Exception as error:  # a reader must never see a broken image, whatever our fault is
                logs.get().error("a hit could not be passed on", exc_info=error)
                return self._stand_in(request, "fault", error)
            self._passed_on.inc()
            return response

    def _write(self, request: web.BaseRequest) -> bytes:
        lines = [
            f"{request.method} {request.raw_path} HTTP/1.1".encode("utf-8", "surrogateescape"),
            b"Host: " + self._client.host_header,
        ]
        lines += [name + b": " + value for name, value in request.raw_headers if name.lower() in hits.HEADERS]
        client = client_of(request, self._hops)
        vouched = sealed.seal(client_address.HEADER, client, self._secret, request.method, request.raw_path)
        lines.append(f"{client_address.HEADER}: {vouched}".encode())
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _stand_in(self, request: web.BaseRequest, cause: str, error: Exception) -> web.Response:
        self._metrics.upstream_failures.labels("tracking", cause).inc()
        self._unanswered.note(cause=cause, error=str(error)[:200])
        if request.raw_path.startswith(OPEN_PATH):
            self._metrics.dropped.labels("open").inc()
            self._dropped.inc()
            return web.Response(body=GIF, headers=hits.marked(PIXEL_HEADERS, cause))
        if self._ring is None:
            self._unavailable.inc()
            return _page(_LATER, cause)
        path, _, query = request.raw_path.encode("utf-8", "surrogateescape").partition(b"?")
        try:
            *_, location = click_url.follow(self._ring, path[len(CLICK_PATH) :], query)
        except ClickRefused as refused:
            self._refused.inc()
            return _page(hits.REFUSED[refused.status])
        self._metrics.dropped.labels("click").inc()
        self._dropped.inc()
        return web.Response(status=hits.REDIRECT_STATUS, headers=hits.marked(hits.redirect_headers(location), cause))


def _page(page: hits.Page, dropped: str | None = None) -> web.Response:
    return web.Response(body=page.body, status=page.status, headers=hits.marked(page.headers, dropped))


def client_of(request: web.BaseRequest, hops: TrustedHops) -> Client:
    """Who has asked, by what the trusted hops before us say (hostile-input.md 22)."""
    return Client(hops.address(request.remote or "", *client_address.lists(request, client_address.CLAIMS)))


def _response(answer: HitAnswer) -> web.Response:
    response = web.Response(status=answer.status, body=answer.body)
    for name, value in answer.headers:
        if name.lower() in _PASSED_BACK:
            response.headers[name.decode("latin-1")] = value.decode("latin-1")
    return response
