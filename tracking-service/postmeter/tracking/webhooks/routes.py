"""Webhooks as the gateway passes them on, and the answers that providers expect."""

from __future__ import annotations

import time
from collections.abc import Callable

from aiohttp import web

from postmeter.shared.apis.mail import webhooks
from postmeter.shared.errors import RequestError, SettingsError
from postmeter.shared.http import failures
from postmeter.shared.http.answerer import Asked
from postmeter.shared.http.answers import json
from postmeter.shared.process import logs
from postmeter.shared.storage.sources import SealedSource
from postmeter.shared.stream import source_log
from postmeter.tracking.webhooks import events
from postmeter.tracking.webhooks.handler import Webhooks

QUIET_SECONDS = 60.0
"""After a line about a source nothing more is logged about it for this long: anybody who knows its URL can fail."""


class Refusals:
    """One line per source in a while, with the latest reason and how many deliveries it stands for.

    It remembers each source that failed since the process started: sources that exist only, for the gateway finds
    them before a delivery comes here.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._quiet_until: dict[str, float] = {}
        self._untold: dict[str, int] = {}

    def refused(self, source: SealedSource, error: RequestError) -> None:
        """A delivery of `source` got `error`."""
        times = self._untold.get(source.id, 0) + 1
        if self._clock() < self._quiet_until.get(source.id, 0.0):
            self._untold[source.id] = times
            return
        self._untold[source.id] = 0
        self._quiet_until[source.id] = self._clock() + QUIET_SECONDS
        told = {"source": source.id, "provider": source.provider, "status": error.status, "reason": error.message}
        logs.get().warning("webhook not taken", **told, times=times)


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
