"""One-click unsubscribe (RFC 8058): POST counts, once per message; GET asks, and changes nothing.

Scanners fetch every link of a mail, so a GET that unsubscribed would unsubscribe people who never asked for it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qsl

from aiohttp import web

from postmeter.shared.apis.mail.unsubscribe import FIELD, UNSUBSCRIBE_PATH, VALUE
from postmeter.shared.errors import TokenRejected
from postmeter.shared.http.answerer import Asked
from postmeter.shared.links import hits
from postmeter.shared.links.hits import USER_AGENT_BYTES, Page
from postmeter.shared.links.tokens import UNSUBSCRIBE, KeyRing
from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.records import Event, encode, idempotency_key
from postmeter.shared.stream.streams import slot_of_event
from postmeter.tracking.durable.committer import Committer
from postmeter.tracking.hits.client import Clients
from postmeter.tracking.metrics import TrackingMetrics
from postmeter.tracking.requests import fields

_MAX_FIELDS = 100
_NAMES = (f'name="{FIELD}"'.encode(), f"name={FIELD}".encode())
_FORM = (
    f'<form method="post"><input type="hidden" name="{FIELD}" value="{VALUE}">'
    '<button style="font:inherit;padding:.5em 1em">Unsubscribe</button></form>'
)
_ASK = hits.page(200, "Unsubscribe?", "You will get no more mail of this kind." + _FORM, forms=True)
_DONE = hits.page(200, "You are unsubscribed", "You will get no more mail of this kind.")
_NOT_GENUINE = hits.REFUSED[404]
_NOT_ASKED = hits.page(
    400, "This is not a request to unsubscribe", f"It does not say {FIELD}={VALUE}. Please open the link again."
)


class Unsubscribes:
    """The handlers of UNSUBSCRIBE_PATH."""

    def __init__(
        self,
        keys: KeyRing,
        committer: Committer,
        metrics: TrackingMetrics,
        clients: Clients,
    ) -> None:
        self._keys = keys
        self._committer = committer
        self._metrics = metrics
        self._clients = clients

    async def ask(self, asked: Asked) -> web.Response:
        """The confirmation page, the same for everybody; a link that is not genuine gets a page that says so."""
        return _response(_ASK if self._message(asked.request) else _NOT_GENUINE)

    async def take(self, asked: Asked) -> web.Response:
        """Count it. Never a redirect: RFC 8058 section 3.1 forbids it."""
        request = asked.request
        found = self._message(request)
        if found is None:
            return _response(_NOT_GENUINE)
        if not says_so(await asked.text()):
            return _response(_NOT_ASKED)
        event = _event(*found, request, self._clients.of(request))
        await self._committer.append([(slot_of_event(event), encode(event))])
        self._metrics.events.labels("accepted").inc()
        return _response(_DONE)

    def _message(self, request: web.Request) -> tuple[int, bytes] | None:
        """(workspace number, message) of a genuine link."""
        token = request.raw_path.partition("?")[0].removeprefix(UNSUBSCRIBE_PATH)
        try:
            return self._keys.verify(token.encode("utf-8", "surrogateescape"), UNSUBSCRIBE)
        except TokenRejected as rejected:
            self._metrics.dropped.labels(rejected.reason).inc()
            return None


def says_so(body: bytes) -> bool:
    """Whether a form says List-Unsubscribe=One-Click. Its bytes show its kind: the declared type may be wrong."""
    form = body.strip()
    value = _of_multipart(form) if form.startswith(b"--") else _of_pairs(form)
    return value.strip().lower() == VALUE.lower()


def _of_pairs(form: bytes) -> str:
    # More fields than this are not a mail client's.
    text = form.decode("utf-8", "replace")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        return ""
    return next((value for name, value in pairs if name.strip() == FIELD), "")


def _of_multipart(form: bytes) -> str:
    # Not by the library's parser of mail: that takes squared time for odd heads, and anybody who has a mail may post.
    boundary = form.partition(b"\n")[0].strip()
    if len(boundary) <= len(b"--") or form.count(boundary) > _MAX_FIELDS:
        return ""
    for part in form.split(boundary):
        head, _, content = part.replace(b"\r\n", b"\n").partition(b"\n\n")
        if any(map(_is_named, head.split(b"\n"))):
            return content.decode("utf-8", "replace")
    return ""


def _is_named(header: bytes) -> bool:
    """Whether a part's header says that it is the field."""
    name, _, value = header.partition(b":")
    return name.strip().lower() == b"content-disposition" and any(p.strip() in _NAMES for p in value.split(b";"))


def _event(workspace: int, message: bytes, request: web.Request, address: str) -> Event:
    now = fields.micros(datetime.now(UTC))
    agent = request.headers.get("User-Agent", "").encode("utf-8", "surrogateescape")
    return Event(
        at=now,
        received=now,
        workspace=workspace,
        type=EventType.UNSUBSCRIBED,
        message=message,
        provider="",
        provider_message="",
        # Clients post again when an answer does not come: once per message is what it means.
        key=idempotency_key(workspace, f"one-click\0{message.hex()}"),
        digest=b"",
        bounce=0,
        reason="one-click",
        url="",
        user_agent=agent[:USER_AGENT_BYTES],
        ip=address,
        domain="",
        size_bytes=0,
        spam=False,
        claimed=None,
    )


def _response(answer: Page) -> web.Response:
    return web.Response(status=answer.status, headers=answer.headers, body=answer.body)
