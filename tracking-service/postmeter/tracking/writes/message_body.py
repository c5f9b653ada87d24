"""One message as it is given to `POST /v1/messages`: what it may contain, and the record it becomes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

import msgspec

from postmeter.shared.apis.mail.messages import MessageBody, Tracking
from postmeter.shared.auth.principal import Principal
from postmeter.shared.errors import FieldRefused, RequestError
from postmeter.shared.http import json_bodies
from postmeter.shared.http.fields import invalid
from postmeter.shared.privacy import recipients
from postmeter.shared.privacy.levels import CLICK_LEVELS, OPEN_LEVELS, Level, Levels
from postmeter.shared.stream.records import Registration
from postmeter.tracking.requests import fields

HASHED_AT_ONCE = 10
"""Recipients of a list that are found before hits get their turn."""


class _Recipient(msgspec.Struct):
    to: str


_message_decoder = msgspec.json.Decoder(MessageBody)
_recipient_decoder = msgspec.json.Decoder(_Recipient)


def read(body: bytes | msgspec.Raw) -> MessageBody:
    """Decode one message. Raises RequestError 400 for what is not JSON, FieldRefused for what does not fit."""
    return json_bodies.decode(_message_decoder, body)


def registration(principal: Principal, message: bytes, given: MessageBody) -> Registration:
    """The record, without its links and its mailbox provider. Raises RequestError or FieldRefused."""
    received = datetime.now(UTC)
    sender, sender_domain = fields.address("from_address", given.from_address)
    recipient, recipient_domain = fields.address("to", given.to)
    if principal.confined_to is not None:
        if sender_domain not in principal.confined_to:
            raise RequestError(403, "FORBIDDEN", "from_address: this key is not for that domain", "from_address")
        if given.id is not None:
            # Whether it is another one's message is in Postgres, where only the aggregator looks.
            raise RequestError(403, "FORBIDDEN", "id: a key that is confined to domains may not choose it", "id")
    if given.honeypot and not given.track_clicks:
        raise invalid("honeypot", "needs track_clicks: it leads where the first tracked link leads")
    created, _ = fields.timestamp("created_at", given.created_at, received)
    return Registration(
        at=fields.micros(received),
        workspace=principal.workspace,
        message=message,
        created=created,
        campaign=fields.label("campaign_id", given.campaign_id, 200),
        campaign_name=fields.text("campaign_name", given.campaign_name, 500),
        from_address=sender,
        from_domain=sender_domain,
        to_hash=recipients.hash_of(recipient),
        to_domain=recipient_domain,
        subject=fields.text("subject", given.subject, 2000),
        provider=fields.label("provider", given.provider, 50).strip().upper(),
        provider_account=fields.text("provider_account_id", given.provider_account_id, 200),
        provider_message=fields.bare_id(fields.text("provider_message_id", given.provider_message_id, 500)),
        template=fields.label("template", given.template, 200),
        tags=fields.labels("tags", given.tags),
        confined=principal.confined_to is not None,
        recipient_ref=fields.text("recipient_ref", given.recipient_ref, 200),
    )


def own_levels(given: MessageBody) -> Levels:
    """The levels that the message itself asks for. Raises RequestError."""
    said = given.tracking or Tracking()
    return Levels(
        fields.one_of("tracking.opens", said.opens, OPEN_LEVELS, Level.FULL),
        fields.one_of("tracking.clicks", said.clicks, CLICK_LEVELS, Level.FULL),
    )


async def recipient_hashes(items: Sequence[bytes | msgspec.Raw]) -> set[str]:
    """The hashes of the messages' recipients, without those of items that will be refused.

    To find a recipient a message's whole HTML is passed over, so hits have their turn after every few of them.
    """
    found = set()
    for number, item in enumerate(items):
        if number and number % HASHED_AT_ONCE == 0:
            await asyncio.sleep(0)
        with suppress(RequestError, FieldRefused):
            recipient, _ = fields.address("to", json_bodies.decode(_recipient_decoder, item, in_parts=True).to)
            found.add(recipients.hash_of(recipient))
    return found
