"""`POST /api/v1/track/event` and `/api/v1/track/purchase`: taken, appended, a purchase answered with its campaign."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import msgspec
from aiohttp import web

from postmeter.shared.apis.documents.misar import PurchaseAnswer, TrackEventAnswer, TrackEventBody
from postmeter.shared.errors import RequestError
from postmeter.shared.http import json_bodies
from postmeter.shared.http.answerer import Asked
from postmeter.shared.http.answers import json
from postmeter.shared.privacy import recipients
from postmeter.shared.storage import uuid7
from postmeter.shared.stream.conversions import Attribution
from postmeter.shared.stream.records import CustomEvent, Purchase, encode
from postmeter.shared.stream.streams import slot_of_key
from postmeter.tracking.contacts import purchase, values
from postmeter.tracking.contacts.attributions import Attributions
from postmeter.tracking.durable.committer import Committer
from postmeter.tracking.metrics import TrackingMetrics
from postmeter.tracking.requests import fields

ANSWER_SECONDS = 3.0
_RETRY = {"Retry-After": "1"}
_CONFLICT = "order_id: this order was sent before with another amount, currency or contact; nothing was changed"
_LATER = "The purchase is stored, but what it is attributed to is not known yet: send it again with the same order_id."
_decoder = msgspec.json.Decoder(TrackEventBody)
_NONE = (msgspec.UNSET, msgspec.Raw(b"null"))


def read_event(workspace: int, body: bytes) -> CustomEvent:
    """Check a body. Raises RequestError 400 for what is not JSON, else FieldRefused."""
    given = json_bodies.decode(_decoder, body)
    received = datetime.now(UTC)
    at, claimed = values.timestamp(given.timestamp, received)
    address, _ = fields.address("contact_email", given.contact_email)
    return CustomEvent(
        at=at,
        received=fields.micros(received),
        workspace=workspace,
        id=f"evt_{uuid7.new().hex}",
        name=values.event_name(given.event_name),
        contact=recipients.hash_of(address),
        properties="{}" if given.properties in _NONE else values.properties(given.properties),
        claimed=claimed,
    )


class Track:
    """Takes what contacts did."""

    def __init__(self, committer: Committer, attributions: Attributions, metrics: TrackingMetrics) -> None:
        self._committer = committer
        self._attributions = attributions
        self._metrics = metrics

    async def event(self, asked: Asked) -> web.Response:
        """Take a custom event. Raises RequestError 400, FieldRefused, NotStored."""
        record = read_event(asked.principal.workspace, await asked.text())
        await self._committer.append([(None, encode(record))])
        self._note("custom", "accepted")
        return json(TrackEventAnswer(True, record.id))

    async def purchase(self, asked: Asked) -> web.Response:
        """Take a purchase and wait for its campaign. Raises RequestError 400, 409, 503, FieldRefused, NotStored.

        A purchase with an order_id whose campaign is not known in time is a 503: sent again, it counts once. One
        without would count twice, so that it is answered without a campaign.
        """
        body = await asked.text()
        began = time.monotonic()
        record = purchase.read(asked.principal.workspace, body)
        if record.order and (known := await self._known(record)) is not None:
            return self._answer(record, known)
        if self._attributions.full:
            self._note("purchase", "refused")
            raise RequestError(503, "UNAVAILABLE", "Too many purchases wait; nothing was stored.", None, _RETRY)
        slot = slot_of_key(purchase.order_hash(record.workspace, record.order)) if record.order else None
        # Behind the clicks that wait in the spool, so that it is counted after them.
        await self._committer.append([(slot, encode(record))], behind=True)
        left = max(0.0, began + ANSWER_SECONDS - time.monotonic())
        answer = await self._attributions.wait(record.workspace, record.id, left)
        self._metrics.purchase_seconds.observe(time.monotonic() - began)
        if answer is not None:
            return self._answer(record, answer)
        self._note("purchase", "unanswered")
        if record.order:
            raise RequestError(503, "UNAVAILABLE", _LATER, None, _RETRY)
        return json(PurchaseAnswer(True, record.id, None))

    async def _known(self, record: Purchase) -> Attribution | None:
        if not self._committer.redis_up:
            return None
        return await self._attributions.known(record.workspace, record.id)

    def _answer(self, record: Purchase, answer: Attribution) -> web.Response:
        if answer.digest != record.digest:
            self._note("purchase", "conflict")
            raise RequestError(409, "ORDER_CONFLICT", _CONFLICT, "order_id")
        self._note("purchase", "accepted")
        return json(PurchaseAnswer(True, record.id, answer.campaign))

    def _note(self, kind: str, outcome: str) -> None:
        self._metrics.contact_events.labels(kind, outcome).inc()
