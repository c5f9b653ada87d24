"""Webhooks as the gateway passes them on, and the answers that providers expect."""

from __future__ import annotations

from aiohttp import web

from postmeter.shared.apis.mail import webhooks
from postmeter.shared.errors import RequestError, SettingsError
from postmeter.shared.http import failures
from postmeter.shared.http.answerer import Asked
from postmeter.shared.http.answers import json
from postmeter.shared.storage.sources import SealedSource
from postmeter.shared.stream import source_log
from postmeter.tracking.webhooks import events
from postmeter.tracking.webhooks.handler import Webhooks
from postmeter.tracking.webhooks.refusals import Refusals


class WebhookRoutes:
    """The handlers of webhooks.PATH."""

    def __init__(self, taker: Webhooks) -> None:
        self._taker = taker
        self._refusals = Refusals()

    async def take(self, asked: Asked) -> web.Response:
        """One delivery: 200 once its events are in the streams."""
        source = _source(asked)
        try:
            return json(await self._taker.take(source, asked.request.headers, await asked.read()))
        except failures.ANSWERABLE as error:
            await self._refused(source, failures.answered(error, asked.endpoint))
            raise
        except SettingsError as error:  # ours to mend: the provider is to try again, and need not know the setting
            await self._refused(source, RequestError(503, "UNAVAILABLE", str(error)))
            raise RequestError(503, "UNAVAILABLE", "Webhooks cannot be verified here now; try again.") from error

    async def _refused(self, source: SealedSource, error: RequestError) -> None:
        self._refusals.refused(source, error)
        await self._taker.note(source.id, source_log.Delivery(events.now(), error=f"{error.status}: {error.message}"))

    async def describe(self, asked: Asked) -> web.Response:
        """Some providers try a URL with HEAD or GET before they take it."""
        return json(webhooks.WebhookAnswer(provider=_source(asked).provider))


def _source(asked: Asked) -> SealedSource:
    assert asked.source is not None
    return asked.source
