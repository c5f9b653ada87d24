"""The HTTP side of the track API."""

from __future__ import annotations

import msgspec
from aiohttp import web

from postmeter.shared.apis.endpoint import Endpoint
from postmeter.shared.apis.misar import TRACK_EVENT, TRACK_PURCHASE
from postmeter.shared.auth import authorization
from postmeter.shared.auth.principal import HEADER, Principal
from postmeter.shared.auth.sealed import Seals
from postmeter.shared.process import logs
from postmeter.tracking.contacts.track import Track
from postmeter.tracking.requests import bodies
from postmeter.tracking.settings import TrackingSettings


class TrackRoutes:
    """The handlers of both endpoints."""

    def __init__(self, settings: TrackingSettings, seals: Seals, track: Track) -> None:
        self._seals = seals
        self._timeout = settings.body_timeout
        self._track = track

    async def event(self, request: web.Request) -> web.Response:
        """Take a custom event."""
        principal, body = await self._read(request, TRACK_EVENT)
        return _json(await self._track.event(principal, body))

    async def purchase(self, request: web.Request) -> web.Response:
        """Take a purchase."""
        principal, body = await self._read(request, TRACK_PURCHASE)
        return _json(await self._track.purchase(principal, body))

    async def _read(self, request: web.Request, endpoint: Endpoint) -> tuple[Principal, bytes]:
        principal = self._seals.open(HEADER, Principal, request.headers, request.method, request.raw_path)
        logs.bind_request(principal.request_id)
        authorization.require(endpoint, principal)
        return principal, await bodies.read(request, endpoint.max_body, self._timeout)


def _json(answer: msgspec.Struct) -> web.Response:
    return web.Response(body=msgspec.json.encode(answer), content_type="application/json")
