"""The HTTP face of webhooks: what the gateway has passed on, and the answers that providers expect."""

from __future__ import annotations

import msgspec
from aiohttp import web

from postmeter.shared.apis import webhooks
from postmeter.shared.auth.sealed import Seals
from postmeter.shared.errors import RequestError, SettingsError
from postmeter.shared.process import logs
from postmeter.shared.storage import sources
from postmeter.shared.storage.sources import Source
from postmeter.shared.stream import source_log
from postmeter.tracking.requests import bodies
from postmeter.tracking.requests.large_bodies import LargeBodies
from postmeter.tracking.settings import TrackingSettings
from postmeter.tracking.webhooks import events
from postmeter.tracking.webhooks.handler import Webhooks
from postmeter.tracking.webhooks.refusals import Refusals

_MAX_BODY = max(endpoint.max_body for endpoint in webhooks.ENDPOINTS)


class WebhookRoutes:
    """The handlers of webhooks.PATH."""

    def __init__(self, settings: TrackingSettings, seals: Seals, large: LargeBodies, taker: Webhooks) -> None:
        self._seals = seals
        self._large = large
        self._timeout = settings.body_timeout
        self._taker = taker
        self._refusals = Refusals()

    def _source(self, request: web.Request) -> Source:
        source = self._seals.open(sources.HEADER, Source, request.headers, request.method, request.raw_path)
        logs.bind_request(source.request_id)
        return source

    async def take(self, request: web.Request) -> web.Response:
        """One delivery: 200 once its events are in the streams."""
        source = self._source(request)
        try:
            async with self._large.of(source.workspace, request) as turn:
                body = await bodies.read_raw(request, _MAX_BODY, self._timeout, turn)
                outcome = await self._taker.take(source, request.headers, body)
        except RequestError as error:
            await self._refused(source, error)
            raise
        except SettingsError as error:  # ours to mend: the provider is to try again, and need not know the setting
            await self._refused(source, RequestError(503, "UNAVAILABLE", str(error)))
            raise RequestError(503, "UNAVAILABLE", "Webhooks cannot be verified here now; try again.") from error
        return web.Response(body=msgspec.json.encode(outcome), content_type="application/json")

    async def _refused(self, source: Source, error: RequestError) -> None:
        self._refusals.refused(source, error)
        await self._taker.note(source.id, source_log.Delivery(events.now(), error=f"{error.status}: {error.message}"))

    async def describe(self, request: web.Request) -> web.Response:
        """Some providers try a URL with HEAD or GET before they take it."""
        answer = webhooks.WebhookAnswer(provider=self._source(request).provider)
        return web.Response(body=msgspec.json.encode(answer), content_type="application/json")
