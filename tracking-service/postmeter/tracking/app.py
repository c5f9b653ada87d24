"""The aiohttp side of the public port: the writes, and tracking URLs on connections that it has taken over."""

from __future__ import annotations

import msgspec
from aiohttp import web

from postmeter.shared.apis import consent
from postmeter.shared.apis.misar import CLIENT_TRACK_EVENT, CLIENT_TRACK_PURCHASE, TRACK_EVENT, TRACK_PURCHASE
from postmeter.shared.apis.table import CLICK_PATH, ENDPOINTS, OPEN_PATH
from postmeter.shared.apis.unsubscribe import UNSUBSCRIBE_PATH
from postmeter.shared.apis.webhooks import PATH as WEBHOOK_PATH
from postmeter.shared.auth import authorization
from postmeter.shared.auth.principal import HEADER, Principal
from postmeter.shared.auth.sealed import Seals
from postmeter.shared.errors import ClickRefused, RequestError
from postmeter.shared.links import hits
from postmeter.shared.links.hits import PREFETCH_HEADERS, USER_AGENT_BYTES, is_prefetch
from postmeter.shared.process import logs
from postmeter.tracking.contacts.routes import TrackRoutes
from postmeter.tracking.durable.committer import Committer
from postmeter.tracking.hits import answers
from postmeter.tracking.hits.answers import Prepared
from postmeter.tracking.hits.client import Clients
from postmeter.tracking.hits.policy import HitPolicy
from postmeter.tracking.hits.unsubscribe import Unsubscribes
from postmeter.tracking.requests import bodies
from postmeter.tracking.requests.large_bodies import LargeBodies
from postmeter.tracking.settings import TrackingSettings
from postmeter.tracking.webhooks.routes import WebhookRoutes
from postmeter.tracking.webhooks.source_routes import SourceRoutes
from postmeter.tracking.writes import event_batch
from postmeter.tracking.writes.campaigns import Campaigns
from postmeter.tracking.writes.consents import Consents
from postmeter.tracking.writes.events import Events
from postmeter.tracking.writes.messages import Messages

MESSAGES_PATH = "/v1/messages"
EVENTS_PATH = "/v1/events"
CAMPAIGN = next(one for one in ENDPOINTS if (one.method, one.path) == ("PUT", "/v1/campaigns/{id}"))
_MAX_BODY = {endpoint.path: endpoint.max_body for endpoint in ENDPOINTS if endpoint.method == "POST"}


class Writes:
    """The handlers of /v1/messages, /v1/events, /v1/campaigns and /v1/recipients/consent."""

    def __init__(
        self,
        settings: TrackingSettings,
        seals: Seals,
        large: LargeBodies,
        messages: Messages,
        taker: Events,
        campaigns: Campaigns,
        consents: Consents,
    ) -> None:
        self._seals = seals
        self._timeout = settings.body_timeout
        self._messages = messages
        self._events = taker
        self._campaigns = campaigns
        self._consents = consents
        self._large = large

    def _principal(self, request: web.Request) -> Principal:
        principal = self._seals.open(HEADER, Principal, request.headers, request.method, request.raw_path)
        logs.bind_request(principal.request_id)
        if "track" not in principal.scopes:
            raise RequestError(403, "FORBIDDEN", "This needs a key with the scope track.")
        return principal

    async def post_messages(self, request: web.Request) -> web.Response:
        """Register one message or a list."""
        principal = self._principal(request)
        async with self._large.of(principal.workspace, request) as turn:
            body = await bodies.read(request, _MAX_BODY[MESSAGES_PATH], self._timeout, turn)
            status, answer = await self._messages.register(principal, body)
            return web.Response(status=status, body=msgspec.json.encode(answer), content_type="application/json")

    async def post_events(self, request: web.Request) -> web.Response:
        """Take events, as JSON or NDJSON."""
        principal = self._principal(request)
        async with self._large.of(principal.workspace, request) as turn:
            body = await bodies.read(request, _MAX_BODY[EVENTS_PATH], self._timeout, turn)
            outcome = await self._events.take(principal, event_batch.items_of(body, request.content_type))
            return web.Response(status=202, body=msgspec.json.encode(outcome), content_type="application/json")

    async def put_campaign(self, request: web.Request) -> web.Response:
        """Name a campaign, or say its status."""
        principal = self._principal(request)
        authorization.require(CAMPAIGN, principal)
        body = await bodies.read(request, CAMPAIGN.max_body, self._timeout)
        # The path as it was sent: aiohttp's own decoding leaves alone what is not UTF-8.
        segment = request.raw_path.partition("?")[0].rpartition("/")[2]
        answer = await self._campaigns.change(principal, segment, body)
        return web.Response(body=msgspec.json.encode(answer), content_type="application/json")

    async def put_consent(self, request: web.Request) -> web.Response:
        """Take what recipients have chosen."""
        principal = self._seals.open(HEADER, Principal, request.headers, request.method, request.raw_path)
        logs.bind_request(principal.request_id)
        authorization.require(consent.PUT, principal)
        async with self._large.of(principal.workspace, request) as turn:
            body = await bodies.read(request, consent.PUT.max_body, self._timeout, turn)
            status, answer = await self._consents.take(principal, body)
            return web.Response(status=status, body=msgspec.json.encode(answer), content_type="application/json")


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


def _response(answer: Prepared, dropped: str | None = None) -> web.Response:
    return web.Response(status=answer.status, headers=hits.marked(answer.headers, dropped), body=answer.body)


def application(
    writes: Writes,
    visits: Visits,
    webhooks: WebhookRoutes,
    sources: SourceRoutes,
    track: TrackRoutes,
    unsubscribes: Unsubscribes,
) -> web.Application:
    """The routes."""
    app = web.Application()
    app.add_routes(
        [
            web.post(MESSAGES_PATH, writes.post_messages),
            web.post(EVENTS_PATH, writes.post_events),
            # An id may hold braces, which aiohttp's own pattern of a segment leaves out.
            web.put(CAMPAIGN.path.replace("{id}", "{id:[^/]+}"), writes.put_campaign),
            web.put(consent.PATH, writes.put_consent),
            web.post(TRACK_EVENT.path, track.event),
            web.post(TRACK_PURCHASE.path, track.purchase),
            web.post(CLIENT_TRACK_EVENT.path, track.event),
            web.post(CLIENT_TRACK_PURCHASE.path, track.purchase),
            web.post(WEBHOOK_PATH, webhooks.take),
            web.get(WEBHOOK_PATH, webhooks.describe),
            *sources.routes(),
            web.get(UNSUBSCRIBE_PATH + "{token:[^/]+}", unsubscribes.ask),
            web.post(UNSUBSCRIBE_PATH + "{token:[^/]+}", unsubscribes.take),
            web.get(OPEN_PATH + "{token:.*}", visits.open),
            web.get(CLICK_PATH + "{token:.*}", visits.click),
        ]
    )
    return app
