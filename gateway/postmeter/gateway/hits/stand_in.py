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
from postmeter.shared.apis.table import CLICK_PATH, OPEN_PATH
from postmeter.shared.auth import sealed
from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import ClickRefused
from postmeter.shared.http import client_address
from postmeter.shared.http.client_address import Client
from postmeter.shared.http.trusted_hops import TrustedHops
from postmeter.shared.links import click_url, pixel, tokens
from postmeter.shared.process import logs
from postmeter.shared.process.metrics import GatewayMetrics

RESTART_SECONDS = 2.0
"""How long a restarting tracking-service is waited for."""
ANSWER_SECONDS = 5.0
_PASSED_ON = frozenset({b"user-agent", b"purpose", b"sec-purpose", b"x-purpose", b"x-moz"})
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
_LATER = b"""<!doctype html><html lang="en"><meta charset="utf-8"><meta name="robots" content="noindex">
<meta http-equiv="refresh" content="3"><title>One moment</title><p>This link cannot be opened right now.
The page tries again by itself.</p>
"""
_NEVER = b"""<!doctype html><html lang="en"><meta charset="utf-8"><meta name="robots" content="noindex">
<title>This link does not work</title><p>It is incomplete or was changed on its way. Please open it again from
the original mail.</p>
"""


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

    @staticmethod
    def claims(path: str) -> bool:
        """Whether a raw path is a tracking URL's; its token is one segment, maybe an empty one."""
        for prefix in (OPEN_PATH, CLICK_PATH):
            if path.startswith(prefix):
                return "/" not in path[len(prefix) :]
        return False

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
        lines += [name + b": " + value for name, value in request.raw_headers if name.lower() in _PASSED_ON]
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
            return web.Response(body=pixel.GIF, headers={**pixel.HEADERS, pixel.DROPPED: cause})
        if self._ring is None:
            self._unavailable.inc()
            headers = {"Retry-After": "3", pixel.DROPPED: cause}
            return _page(_LATER, 503, headers)
        path, _, query = request.raw_path.encode("utf-8", "surrogateescape").partition(b"?")
        try:
            *_, location = click_url.follow(self._ring, path[len(CLICK_PATH) :], query)
        except ClickRefused as refused:
            self._refused.inc()
            return _page(_NEVER, refused.status)
        self._metrics.dropped.labels("click").inc()
        self._dropped.inc()
        return web.Response(
            status=302, headers={"Location": location, "Cache-Control": "no-store", pixel.DROPPED: cause}
        )


def _page(text: bytes, status: int, headers: dict[str, str] | None = None) -> web.Response:
    headers = {"Cache-Control": "no-store", **(headers or {})}
    return web.Response(body=text, status=status, content_type="text/html", charset="utf-8", headers=headers)


def client_of(request: web.BaseRequest, hops: TrustedHops) -> Client:
    """Who has asked, by what the trusted hops before us say (hostile-input.md 22)."""
    claimed = {b"x-forwarded-for": b"", b"forwarded": b""}
    for name, value in request.raw_headers:
        if (lowered := name.lower()) in claimed:
            claimed[lowered] = claimed[lowered] + b"," + value if claimed[lowered] else value
    x_forwarded_for, forwarded = claimed.values()
    return Client(hops.address(request.remote or "", x_forwarded_for, forwarded))


def _response(answer: HitAnswer) -> web.Response:
    response = web.Response(status=answer.status, body=answer.body)
    for name, value in answer.headers:
        if name.lower() in _PASSED_BACK:
            response.headers[name.decode("latin-1")] = value.decode("latin-1")
    return response
