"""Readings as records of the stream: hashed, bounded, placed in time, each once under the provider's event id."""

from __future__ import annotations

import hashlib
import re
import uuid
from datetime import UTC, datetime, timedelta
from email.errors import MessageError
from email.header import decode_header, make_header
from functools import lru_cache

from postmeter.shared.errors import FieldRefused
from postmeter.shared.links.hits import USER_AGENT_BYTES
from postmeter.shared.privacy import recipients
from postmeter.shared.stream.events import ADDRESSED, EventType
from postmeter.shared.stream.records import Event, Mail, idempotency_key
from postmeter.shared.text import masking
from postmeter.shared.text.domains import normal
from postmeter.tracking.durable import outgoing
from postmeter.tracking.requests import fields
from postmeter.tracking.webhooks.provider import ItemUnreadable, Provider, Reading, WebhookSource

MOST_WORDS = 40
"""Encoded words; each takes as long to be decoded as all else of an event. A long subject has a dozen."""
SUBJECT_CHARS = 2_000
"""Characters that are looked at: the standard library's pattern takes squared time for what never ends."""


def decoded_subject(subject: str) -> str:
    """The subject with its encoded words decoded, for some providers tell it as the mail's header has it (RFC 2047).

    As it is where that cannot be done.
    """
    if len(subject) > SUBJECT_CHARS or not 0 < subject.count("=?") <= MOST_WORDS or "?=" not in subject:
        return subject
    try:
        return str(make_header(decode_header(subject))) or subject
    except (MessageError, LookupError, ValueError):  # no base64, an unknown charset, bytes that are not in it
        return subject


_OLDEST = int(fields.OLDEST / timedelta(microseconds=1))
_NEWEST = int(fields.NEWEST / timedelta(microseconds=1))
_ID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}", re.ASCII)
REASON_CHARS = outgoing.REASON_CHARS + masking.SPAN
"""More than is kept, for addresses are masked later and none may be cut in two before that."""
MOST_TAGS = 100
"""Tags that are looked at: some are the same, and few are kept."""
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def event_of(
    reading: Reading, item: bytes, place: int, provider: Provider, source: WebhookSource, received: int
) -> Event:
    """The record of one reading; `item` are the bytes that it was read from, `place` its place among the item's.

    Texts are cut to what is stored, never refused: nobody could send them again. Raises ItemUnreadable for a reading
    that names no message, unless it is of a type that is not ours: of an account, a list or a contact; or names a
    recipient and is of a type that counts for the one message to it that fits (ADR 0030).
    """
    if not reading.name:
        raise ItemUnreadable("it does not say what happened")
    message, provider_message = _our_id(reading.message), fields.bare_id(_text(reading.provider_message, 500))
    mail = _mail(reading, source)
    if not (message or provider_message or reading.type is EventType.UNKNOWN):
        if reading.type not in ADDRESSED:
            raise ItemUnreadable("it names no message")
        if not mail.to_hash:
            raise ItemUnreadable("it names neither a message nor a recipient")
    at = reading.at if isinstance(reading.at, int) else received
    placed = at if received - _OLDEST <= at <= received + _NEWEST else received
    # A provider's event id may be that of its message or delivery, told for several events and recipients.
    told = f"{reading.event_id}\0{reading.name}\0{reading.recipient}" if reading.event_id else _digest(item).hex()
    return Event(
        at=placed,
        received=received,
        workspace=source.workspace,
        type=reading.type,
        message=message,
        provider=provider.name,
        provider_message=provider_message,
        key=idempotency_key(source.workspace, f"webhook\0{provider.slug}\0{told}\0{place}"),
        digest=b"",
        bounce=int(reading.bounce or 0),
        reason=_reason(reading),
        url=_text(reading.url, 8192),
        user_agent=reading.user_agent[:USER_AGENT_BYTES].encode("utf-8", "replace")[:USER_AGENT_BYTES],
        ip=_ip(reading.ip),
        domain="",
        size_bytes=0,
        spam=False,
        claimed=None if placed == at else at,
        mail=mail,
    )


def _mail(reading: Reading, source: WebhookSource) -> Mail:
    recipient, recipient_domain = _address(reading.recipient)
    sender, sender_domain = _address(reading.from_address)
    return Mail(
        source=source.id,
        to_hash=recipients.hash_of(recipient) if "@" in recipient else "",
        to_domain=recipient_domain,
        from_address=sender,
        from_domain=sender_domain,
        subject=_text(decoded_subject(_text(reading.subject, 2000)), 2000),
        campaign=_label(reading.campaign, 200),
        template=_label(reading.template, 200),
        tags=_labels(reading.tags),
    )


def _reason(reading: Reading) -> str:
    """Why, or what happened if that is unknown; and the time as it was given if it cannot be read."""
    reason = reading.reason if reading.type is not EventType.UNKNOWN else reading.name
    if isinstance(reading.at, str):
        reason = f"{masking.masked(reason, 900)} (told time: {reading.at})".strip()
    return _text(reason, REASON_CHARS)


def _our_id(text: str) -> bytes:
    return uuid.UUID(text.strip()).bytes if _ID.fullmatch(text.strip()) else b""


def _address(text: str) -> tuple[str, str]:
    """(address, domain); both empty for what is not an address, for an event is not lost for its address."""
    try:
        return fields.address("address", _text(text, 1000)) if text else ("", "")
    except FieldRefused:
        domain = text.rpartition("@")[2].strip("<> ")
        try:
            return _text(text.strip(), 320), normal(domain)
        except ValueError:
            return _text(text.strip(), 320), ""


def _text(text: str, limit: int) -> str:
    return _UNSTORABLE.sub("\ufffd", text[:limit])


def _label(text: str, limit: int) -> str:
    cut = _text(text, limit)
    return cut.encode()[: 2 * limit].decode(errors="ignore")


def _labels(texts: tuple[str, ...]) -> list[str]:
    found = list(dict.fromkeys(_text(text, 100) for text in texts[:MOST_TAGS] if text))[: fields.MAX_LABELS]
    while sum(len(text.encode()) for text in found) > fields.LABELS_BYTES:
        found.pop()
    return found


def _ip(text: str) -> str:
    try:
        return fields.ip("ip", text.strip()) if text else ""
    except FieldRefused:
        return ""


@lru_cache(1)  # of an item that tells of a hundred recipients it is asked for each
def _digest(item: bytes) -> bytes:
    return hashlib.blake2b(item, digest_size=16).digest()


def now() -> int:
    """Microseconds since 1970."""
    return fields.micros(datetime.now(UTC))
