"""The aiohttp side of the public port: who answers which row, and tracking URLs on connections it has taken over."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from postmeter.shared.apis.documents.misar import CLIENT_TRACK_EVENT, CLIENT_TRACK_PURCHASE, TRACK_EVENT, TRACK_PURCHASE
from postmeter.shared.apis.documents.vectis import CLICK_PATH, OPEN_PATH
from postmeter.shared.apis.endpoint import Service
from postmeter.shared.apis.mail.unsubscribe import UNSUBSCRIBE_PATH
from postmeter.shared.apis.mail.webhooks import PATH as WEBHOOK_PATH
from postmeter.shared.apis.privacy import consent
from postmeter.shared.apis.privacy.preferences import PREFERENCES_PATH
from postmeter.shared.apis.table import ENDPOINTS
from postmeter.shared.errors import ClickRefused
from postmeter.shared.http.answerer import Answerer, Handler
from postmeter.shared.links import hits
from postmeter.shared.links.hits import PREFETCH_HEADERS, USER_AGENT_BYTES, is_prefetch
from postmeter.tracking.contacts.track import Track
from postmeter.tracking.durable.committer import Committer
from postmeter.tracking.hits import answers
from postmeter.tracking.hits.answers import PreparedAnswer
from postmeter.tracking.hits.client import Clients
from postmeter.tracking.hits.policy import HitPolicy
from postmeter.tracking.hits.unsubscribe import Unsubscribes
from postmeter.tracking.preferences.routes import Preferences
from postmeter.tracking.webhooks.routes import WebhookRoutes
from postmeter.tracking.webhooks.sources.routes import SourceRoutes
from postmeter.tracking.writes.campaigns import Campaigns
from postmeter.tracking.writes.consents import Consents
from postmeter.tracking.writes.events import Events
from postmeter.tracking.writes.messages import Messages


class Visits:
    """The tracking URLs, answered as the fast protocol answers them."""

    def __init__(self, policy: HitPolicy, committer: Committer, clients: Clients) -> None:
        self._policy = policy
        self._committer = committer
        self._clients = clients

    async def open(self, request: web.Request) -> web.Response:
        """The pixel."""
        path, _, _ = request.raw_path.encode().partition(b"?")
        token = path[path.find(OPEN_PATH.encode()) + len(OPEN_PATH) :]
        record = self._policy.open(token, *_visitor(request, self._clients))
        if record is None and hits.is_odd(path):
            return _response(answers.no_such_path(path))
        if record is not None and request.method == "HEAD":
            self._policy.drop("head")
        elif record is not None:
            return _response(answers.PIXEL, await self._committer.append_hit(record, "open"))
        return _response(answers.PIXEL)

    async def click(self, request: web.Request) -> web.Response:
        """The redirect."""
        path, _, query = request.raw_path.encode().partition(b"?")
        token = path[path.find(CLICK_PATH.encode()) + len(CLICK_PATH) :]
        is_head = request.method == "HEAD"
        try:
            location, record = self._policy.click(token, query, *_visitor(request, self._clients), is_head=is_head)
        except ClickRefused as refused:
            return _response(answers.REFUSED_CLICKS[refused.status])
        dropped = await self._committer.append_hit(record, "head" if is_head else "click")
        return _response(answers.redirect(location), dropped)


def _visitor(request: web.Request, clients: Clients) -> tuple[bool, bytes, str]:
    """(prefetch, user agent, address) of a request."""
    prefetch, agent = False, b""
    for name, value in request.raw_headers:
        lowered = name.lower()
        if lowered == b"user-agent":
            agent = value[:USER_AGENT_BYTES]
        elif lowered in PREFETCH_HEADERS:
            prefetch = prefetch or is_prefetch(value)
    return prefetch, agent, clients.of(request)


def _response(answer: PreparedAnswer, dropped: str | None = None) -> web.Response:
    return web.Response(status=answer.status, headers=hits.marked(answer.headers, dropped), body=answer.body)


def handlers(
    messages: Messages,
    events: Events,
    campaigns: Campaigns,
    consents: Consents,
    track: Track,
    webhooks: WebhookRoutes,
    sources: SourceRoutes,
    unsubscribes: Unsubscribes,
    preferences: Preferences,
) -> dict[tuple[str, str], Handler]:
    """Who answers which row of the endpoint table, by method and path."""
    return {
        ("POST", "/v1/messages"): messages.handle,
        ("POST", "/v1/events"): events.handle,
        ("PUT", "/v1/campaigns/{id}"): campaigns.handle,
        ("PUT", consent.PATH): consents.handle,
        ("POST", TRACK_EVENT.path): track.event,
        ("POST", TRACK_PURCHASE.path): track.purchase,
        ("POST", CLIENT_TRACK_EVENT.path): track.event,
        ("POST", CLIENT_TRACK_PURCHASE.path): track.purchase,
        ("POST", WEBHOOK_PATH): webhooks.take,
        ("GET", WEBHOOK_PATH): webhooks.describe,
        **sources.handlers(),
        ("GET", UNSUBSCRIBE_PATH + "{token}"): unsubscribes.ask,
        ("POST", UNSUBSCRIBE_PATH + "{token}"): unsubscribes.take,
        ("GET", PREFERENCES_PATH + "{token}"): preferences.show,
        ("POST", PREFERENCES_PATH + "{token}"): preferences.choose,
    }


def application(answerer: Answerer, by_row: Mapping[tuple[str, str], Handler], visits: Visits) -> web.Application:
    """Every endpoint of the table that this service answers."""
    rows = [e for e in ENDPOINTS if e.service is Service.TRACKING and not e.path.startswith((OPEN_PATH, CLICK_PATH))]
    app = web.Application()
    app.add_routes(answerer.routes(rows, lambda row: by_row[row.method, row.path]))
    app.add_routes([web.get(OPEN_PATH + "{token:.*}", visits.open), web.get(CLICK_PATH + "{token:.*}", visits.click)])
    return app
