"""One event as it is given to `POST /v1/events`: what it may contain, and the record it becomes."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import msgspec

from postmeter.shared.apis.mail.events import EventBody
from postmeter.shared.auth.principal import Principal
from postmeter.shared.errors import RequestError
from postmeter.shared.http import json_bodies
from postmeter.shared.http.fields import invalid
from postmeter.shared.links.hits import USER_AGENT_BYTES
from postmeter.shared.stream.events import BounceType, EventType
from postmeter.shared.stream.records import SIZE_LIMIT, Event, idempotency_key
from postmeter.shared.text import quoting
from postmeter.tracking.requests import fields

REJECTED = "rejected"
_TYPES = {kind.name.lower(): kind for kind in EventType if kind is not EventType.UNKNOWN} | {REJECTED: EventType.FAILED}
TYPE_CHARS = 30
"""Of a type's name that are looked at to find the one that was meant."""
NEAR_EDITS = 3
"""Characters that may be wrong in it; `open` and `click` are two away."""
_BOUNCES = {kind.name.lower(): kind for kind in BounceType}
_ONLY_RECEIVED = "type: a key that is confined to domains may write only received, of its own domains"
# Fields that mean something for one type only; for every other one they are as wrong as misspelt ones.
_BELONGS_TO = {
    "bounce_type": EventType.BOUNCED,
    "domain": EventType.RECEIVED,
    "size_bytes": EventType.RECEIVED,
    "spam": EventType.RECEIVED,
}
# What names a message; a mail that was received is not one of ours.
_OF_A_MESSAGE = ("message_id", "provider", "provider_message_id")


_decoder = msgspec.json.Decoder(EventBody)


def read(principal: Principal, item: bytes | msgspec.Raw) -> Event:
    """Check one event. Raises FieldRefused; RequestError 403 if the principal may not write it."""
    given = json_bodies.decode(_decoder, item)
    kind = _kind(given.type)
    if principal.confined_to is not None and kind is not EventType.RECEIVED:
        # Which domain a message is of stands in Postgres, where only the aggregator looks.
        raise RequestError(403, "FORBIDDEN", _ONLY_RECEIVED, "type")
    _refuse_strangers(given, kind)
    received = datetime.now(UTC)
    at, claimed = fields.timestamp("timestamp", given.timestamp, received)
    provider, provider_message, domain = _subject(principal, given, kind)
    key = fields.text("id", given.id, 200)
    if given.id is not None and not key:
        raise invalid("id", "must not be empty")
    agent = fields.text("user_agent", given.user_agent, 1 << 20).encode()[:USER_AGENT_BYTES]
    size = given.size_bytes or 0
    if not 0 <= size < SIZE_LIMIT:
        raise invalid("size_bytes", f"takes 0 to {SIZE_LIMIT - 1} bytes")
    return Event(
        at=at,
        received=fields.micros(received),
        workspace=principal.workspace,
        type=kind,
        message=given.message_id.bytes if given.message_id else b"",
        provider=provider,
        provider_message=provider_message,
        key=_key(principal, domain, key),
        digest=_digest(given),
        bounce=_bounce(given, kind),
        reason=_reason(given),
        url=fields.text("url", given.url, 8192),
        user_agent=agent,
        ip=fields.ip("ip", given.ip),
        domain=domain,
        size_bytes=size,
        spam=bool(given.spam),
        claimed=claimed,
    )


def _key(principal: Principal, domain: str, key: str) -> bytes:
    """The idempotency key's bytes. A confined caller's are its domain's: no others show by them."""
    if not key:
        return b""
    return idempotency_key(principal.workspace, key if principal.confined_to is None else f"{domain}\0{key}")


def _kind(name: str) -> EventType:
    """The type of that name. Raises FieldRefused for another one: `delivred` would be looked for in vain."""
    kind = _TYPES.get(name)
    if kind is None:
        written = name[:TYPE_CHARS].strip().lower()
        edits, nearest = min((_edits(written, known, NEAR_EDITS), known) for known in _TYPES)
        hint = f"did you mean '{nearest}'?" if edits <= NEAR_EDITS else f"known are {', '.join(_TYPES)}"
        raise invalid("type", f"unknown type {quoting.quoted(name)}; {hint}")
    return kind


def _edits(one: str, other: str, most: int) -> int:
    """Characters to be put in, left out or changed to make one of the other (Levenshtein); of more than `most` any such
    number, for ten thousand types may be wrong at once.
    """
    row = list(range(len(other) + 1))
    if abs(len(one) - len(other)) > most:
        return most + 1
    for place, character in enumerate(one, 1):
        before, row[0] = row[0], place
        for column, wanted in enumerate(other, 1):
            before, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, before + (character != wanted))
        if min(row) > most:  # and it does not become less
            return most + 1
    return row[-1]


def _refuse_strangers(given: EventBody, kind: EventType) -> None:
    """Raise FieldRefused for a field that does not belong to the event's type."""
    for field, owner in _BELONGS_TO.items():
        if kind is not owner and getattr(given, field) is not None:
            raise invalid(field, f"only {owner.name.lower()} events have it")
    if kind is EventType.RECEIVED:
        for field in _OF_A_MESSAGE:
            if getattr(given, field) is not None:
                raise invalid(field, "received events have none: they belong to a domain")


def _subject(principal: Principal, given: EventBody, kind: EventType) -> tuple[str, str, str]:
    """(provider, provider's message id, domain): what the event happened to, beside message_id."""
    provider = fields.text("provider", given.provider, 50).strip().upper()
    provider_message = fields.bare_id(fields.text("provider_message_id", given.provider_message_id, 500))
    domain = fields.domain("domain", given.domain) if given.domain is not None else ""
    if kind is EventType.RECEIVED:
        if not domain:
            raise invalid("domain", "is required for received")
        if principal.confined_to is not None and domain not in principal.confined_to:
            raise RequestError(403, "FORBIDDEN", "domain: this key is not for that domain", "domain")
    elif given.message_id is None and not (provider and provider_message):
        raise invalid("message_id", "is required, or provider with provider_message_id")
    return provider, provider_message, domain


def _reason(given: EventBody) -> str:
    reason = fields.text("reason", given.reason, 1000)
    # The provider refused to try: a failure, which says so if nothing else is said of it.
    return reason or (REJECTED if given.type == REJECTED else "")


def _bounce(given: EventBody, kind: EventType) -> int:
    if kind is not EventType.BOUNCED:
        return 0
    if given.bounce_type is None:
        raise invalid("bounce_type", "is required for bounced: hard or soft")
    bounce = _BOUNCES.get(given.bounce_type)
    if bounce is None:
        raise invalid("bounce_type", "takes hard or soft, in lower case")
    return bounce


def _digest(given: EventBody) -> bytes:
    """8 bytes that tell a repetition from another event: of what was given, in any order and spacing."""
    return hashlib.blake2b(msgspec.json.encode(given), digest_size=8).digest()
