"""Which records can be counted at all: what Postgres would refuse is found here, one record at a time."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from operator import attrgetter
from typing import Any

import msgspec

from postmeter.shared.privacy.levels import Choice, Level
from postmeter.shared.stream.events import BounceType, EventType, Mark
from postmeter.shared.stream.records import (
    MARK_BITS,
    MARK_MASK,
    SIZE_LIMIT,
    CampaignChange,
    Consent,
    CustomEvent,
    Event,
    Hit,
    Mail,
    Purchase,
    Record,
    Registration,
    WaitingEvent,
    WaitingHit,
    is_addressed,
)

_INT4 = 2**31
_TYPES = frozenset(EventType)
_BOUNCES = frozenset(BounceType)
_MARKS = frozenset(Mark)
_CHOICES = frozenset((None, *Choice))
_LEVELS = frozenset(map(int, Level))
_ALONE = frozenset((EventType.RECEIVED, EventType.UNKNOWN))
"""Events that need no message of ours: received mail, and what providers tell of accounts, lists and contacts."""
# Years 1 to 9999 in microseconds: what a timestamp can be before `Horizon` says where it counts.
_LATEST = 253_402_300_800_000_000
_EARLIEST = -62_135_596_800_000_000


def _texts_of(kind: type[msgspec.Struct]) -> Callable[[Any], tuple[str, ...]]:
    """Gives the texts of such records."""
    return attrgetter(*(field.name for field in msgspec.structs.fields(kind) if field.type is str))


def sound(found: list[Record]) -> list[Record]:
    """Those of a batch that can be counted."""
    if set(map(type, found)) == {Hit}:
        # What every hit passes here is what `fault` asks of it, without calling anything.
        hits: list[Hit] = found  # type: ignore[assignment]
        return [
            one
            for one in hits
            if (0 < one.workspace < _INT4 and 0 <= one.at < _LATEST and len(one.message) == 16
            and not one.mark and "\0" not in one.url) or fault(one) is None
        ]  # fmt: skip
    return [one for one in found if fault(one) is None]


def fault(record: Record) -> str | None:
    """The named reason why a record cannot be counted, or None."""
    if not 0 < record.workspace < _INT4:
        return "workspace"
    if not 0 <= record.at < _LATEST:
        return "time"
    return _FAULT_OF[type(record)](record)


def _hit_fault(record: Hit) -> str | None:
    if len(record.message) != 16:
        return "message"
    if record.mark:
        mark = record.mark & MARK_MASK
        if mark not in _MARKS or (mark and not record.url) or record.mark >> MARK_BITS not in _LEVELS:
            return "mark"
    return "text" if "\0" in record.url else None


def _registration_fault(record: Registration) -> str | None:
    if len(record.message) != 16:
        return "message"
    if not 0 <= record.created < _LATEST:
        return "time"
    if not 0 <= record.links < 2**31:
        return "links"
    if (record.opens or record.clicks) and not {record.opens, record.clicks} <= _LEVELS:
        return "level"
    return "text" if "\0" in "".join((*_REGISTRATION_TEXTS(record), *record.tags)) else None


_REGISTRATION_TEXTS = _texts_of(Registration)


def _event_fault(record: Event) -> str | None:
    if record.type not in _TYPES:
        return "type"
    if record.type == EventType.BOUNCED and record.bounce not in _BOUNCES:
        return "bounce"
    if record.type not in _ALONE and not (record.message or record.provider_message or is_addressed(record)):
        return "unaddressed"
    if len(record.message) not in (0, 16):
        return "message"
    times = (record.received, record.claimed or 0)
    if not all(_EARLIEST <= time < _LATEST for time in times) or not 0 <= record.size_bytes < SIZE_LIMIT:
        return "number"
    texts = [record.provider, record.provider_message, record.reason, record.url, record.domain]
    if record.mail is not None:
        texts += (*_MAIL_TEXTS(record.mail), *record.mail.tags)
    return "text" if any("\0" in text for text in texts) else None


_MAIL_TEXTS = _texts_of(Mail)


def _campaign_fault(record: CampaignChange) -> str | None:
    texts = (record.campaign, record.name or "", record.status or "")
    return "text" if not record.campaign or any("\0" in text for text in texts) else None


def _contact_fault(record: Purchase | CustomEvent) -> str | None:
    times = (record.received, record.claimed or 0)
    if not all(_EARLIEST <= time < _LATEST for time in times):
        return "number"
    if type(record) is Purchase and not _is_money(record.amount):
        return "number"
    texts = _CONTACT_TEXTS[type(record)](record)
    return "text" if not record.id or "\0" in "".join(texts) else None


def _consent_fault(record: Consent) -> str | None:
    if len(record.message) not in (0, 16) or bool(record.message) == bool(record.to_hash):
        return "unaddressed"
    if not {record.opens, record.clicks} <= _CHOICES or record.opens is record.clicks is None:
        return "choice"
    if not _EARLIEST <= record.received < _LATEST:
        return "number"
    return "text" if "\0" in "".join(_CONSENT_TEXTS(record)) else None


_CONSENT_TEXTS = _texts_of(Consent)


def _is_money(amount: Decimal) -> bool:
    """Whether it can be summed up exactly with any other one: of digits within 40 places before and after the point."""
    exponent = amount.as_tuple().exponent
    return isinstance(exponent, int) and not amount.is_signed() and amount.adjusted() < 40 and exponent >= -40


_CONTACT_TEXTS = {Purchase: _texts_of(Purchase), CustomEvent: _texts_of(CustomEvent)}

# Not isinstance, which takes five times as long for these classes and is asked of every record.
_FAULT_OF: dict[type, Callable[[Any], str | None]] = {
    Hit: _hit_fault,
    WaitingHit: _hit_fault,
    Registration: _registration_fault,
    CampaignChange: _campaign_fault,
    Purchase: _contact_fault,
    CustomEvent: _contact_fault,
    Consent: _consent_fault,
    Event: _event_fault,
    WaitingEvent: _event_fault,
}
