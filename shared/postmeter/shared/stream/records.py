"""What travels in the streams: packed records, one array of them per batch.

gc=False: of what there are a hundred thousand a second, and what can hold no cycle, is not looked through for cycles.
Times are whole microseconds since 1970 UTC. Messages are their UUID's 16 bytes. `workspace` is the
workspace's number. A batch is one stream entry with the fields BATCH (its id, `producer-sequence-shard`, the
same in every retry) and RECORDS (a MessagePack array of the structs below).
"""

from __future__ import annotations

import hashlib
from decimal import Decimal

import msgspec

from postmeter.shared.stream.events import ADDRESSED, EventType

BATCH = b"b"
RECORDS = b"r"
SIZE_LIMIT = 2**40
"""An event's size_bytes stays below this, so that no sum of them can overflow."""
REFUSAL_BYTES = 65_536
MARK_BITS = 4
MARK_MASK = (1 << MARK_BITS) - 1
"""Of Hit.mark: the mark itself; above it stands the level."""


class Hit(msgspec.Struct, array_like=True, tag_field="record", tag=1, frozen=True, gc=False):
    """An answered open (`url` empty) or click of a tracking URL.

    user_agent: raw header bytes, at most 512. ip: the client's address as text. prefetch: a prefetch
    header was present, so it is a machine's. mark: a postmeter.shared.stream.events.Mark, which only clicks have, and
    above its MARK_BITS the token's level (postmeter.shared.privacy.levels). ANONYMOUS: `message` is an anonymous
    source's id.
    """

    at: int
    workspace: int
    message: bytes
    url: str
    prefetch: bool
    user_agent: bytes
    ip: str
    mark: int = 0


class Registration(msgspec.Struct, array_like=True, tag_field="record", tag=2, frozen=True, gc=False):
    """A message made known by `POST /v1/messages`. Empty text means not given.

    tracks_opens, tracks_clicks: it was given our pixel, our links. links: how many different destinations its links
    of ours have, without the honeypot; 0: not known. confined: registered by a key that is confined to its domain.
    recipient_ref: what the sender calls the recipient. opens, clicks: its levels, as they were decided
    (postmeter.shared.privacy.levels).
    """

    at: int
    workspace: int
    message: bytes
    created: int
    campaign: str
    campaign_name: str
    from_address: str
    from_domain: str
    to_hash: str
    to_domain: str
    subject: str
    provider: str
    provider_account: str
    provider_message: str
    template: str
    tags: list[str]
    mailbox_provider: str = ""
    tracks_opens: bool = True
    tracks_clicks: bool = True
    links: int = 0
    confined: bool = False
    recipient_ref: str = ""
    opens: int = 0
    clicks: int = 0


class Mail(msgspec.Struct, array_like=True, frozen=True):
    """What a provider's webhook says about the message of an event, so that one that was never registered can be
    made from it. source: the id of the webhook's source. Empty text means not given.
    """

    source: str
    to_hash: str
    to_domain: str
    from_address: str
    from_domain: str
    subject: str
    campaign: str
    template: str
    tags: list[str]
    mailbox_provider: str = ""


class Event(msgspec.Struct, array_like=True, tag_field="record", tag=3, frozen=True):
    """An event reported by `POST /v1/events`, or by a provider's webhook (mail is set).

    at: the time it counts at; claimed: the time the sender gave where that was out of range, else None.
    message: 16 bytes, or empty where provider and provider_message name it, or for `received` (domain).
    key: 16 bytes of the idempotency key, or empty. digest: 8 bytes of the body, to tell a repetition
    from a conflict. bounce: 0, or a BounceType.
    """

    at: int
    received: int
    workspace: int
    type: int
    message: bytes
    provider: str
    provider_message: str
    key: bytes
    digest: bytes
    bounce: int
    reason: str
    url: str
    user_agent: bytes
    ip: str
    domain: str
    size_bytes: int
    spam: bool
    claimed: int | None
    mail: Mail | None = None


class WaitingHit(Hit, tag=8, frozen=True, gc=False):
    """A hit that waits for its message: judged already, for only the network is left of its client's address."""

    verdict: int = 0
    verdict_reason: str = ""


class WaitingEvent(Event, tag=9, frozen=True):
    """An event that waits likewise; verdict is 0 except for opens and clicks."""

    verdict: int = 0
    verdict_reason: str = ""


class Refusal(msgspec.Struct, array_like=True, tag_field="record", tag=5, frozen=True):
    """An item of a batch that could not be read: kept as a dead letter for a person to look at.

    origin: where it came from, such as a webhook's source. body: its bytes, at most REFUSAL_BYTES.
    """

    at: int
    workspace: int
    origin: str
    reason: str
    body: bytes


class CampaignChange(msgspec.Struct, array_like=True, tag_field="record", tag=4, frozen=True):
    """What `PUT /v1/campaigns/{id}` set, and when; None leaves a value as it is, empty removes it."""

    at: int
    workspace: int
    campaign: str
    name: str | None
    status: str | None


class Purchase(msgspec.Struct, array_like=True, tag_field="record", tag=6, frozen=True):
    """A purchase reported by `POST /api/v1/track/purchase`. Every repetition of an order goes through one shard.

    at, claimed: as an event's. id: the event_id that it is answered with; an order's follows from its order_id.
    contact: the address' hash, as of a message's recipient. digest: 8 bytes of what an order must not change.
    items: JSON.
    """

    at: int
    received: int
    workspace: int
    id: str
    order: str
    contact: str
    amount: Decimal
    currency: str
    items: str
    digest: bytes
    claimed: int | None


class CustomEvent(msgspec.Struct, array_like=True, tag_field="record", tag=7, frozen=True):
    """An event reported by `POST /api/v1/track/event`; fields as those of Purchase. properties: a JSON object."""

    at: int
    received: int
    workspace: int
    id: str
    name: str
    contact: str
    properties: str
    claimed: int | None


class Consent(msgspec.Struct, array_like=True, tag_field="record", tag=10, frozen=True):
    """What a recipient has chosen, by `PUT /v1/recipients/consent` or on the preferences page of a message.

    at: when it was chosen. to_hash: whose; empty: the recipient of `message` (16 bytes, else empty). opens, clicks: a
    postmeter.shared.privacy.levels.Choice; None: left open. by: the key or user that reported it.
    """

    at: int
    received: int
    workspace: int
    to_hash: str
    message: bytes
    opens: int | None
    clicks: int | None
    method: str
    text_version: str
    source: str
    by: str


Record = (
    Hit | Registration | Event | Refusal | CampaignChange | Purchase | CustomEvent | WaitingHit | WaitingEvent | Consent
)

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Record])
_raw_decoder = msgspec.msgpack.Decoder(list[msgspec.Raw])
_one_decoder: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record)


def encode(record: Record) -> bytes:
    """One record's bytes, to be joined by `join`."""
    return _encoder.encode(record)


def join(encoded: list[bytes]) -> bytes:
    """The RECORDS field of a batch: an array header before the encoded records."""
    return b"\xdd" + len(encoded).to_bytes(4, "big") + b"".join(encoded)


def decode(packed: bytes) -> list[Record]:
    """All records of a batch in one call.

    Raises ValueError, of which msgspec.DecodeError is one and text that is not UTF-8 another, and RecursionError.
    """
    return _decoder.decode(packed)


def decode_each(packed: bytes) -> tuple[list[Record], list[tuple[bytes, str]]]:
    """The slow way for a batch that `decode` refuses: the good records, and (bytes, reason) of the others."""
    good: list[Record] = []
    bad: list[tuple[bytes, str]] = []
    try:
        parts = _raw_decoder.decode(packed)
    except (ValueError, RecursionError) as error:
        return [], [(packed, str(error))]
    for part in parts:
        try:
            good.append(_one_decoder.decode(part))
        except (ValueError, RecursionError) as error:
            bad.append((bytes(part), str(error)))
    return good, bad


def is_addressed(event: Event) -> bool:
    """Whether a webhook's event names a recipient and no message, and is of a type that counts for what fits."""
    named = event.message or event.provider_message
    return not named and event.type in ADDRESSED and event.mail is not None and event.mail.to_hash != ""


def is_alone(event: Event) -> bool:
    """Whether it needs no message: received mail, and what providers tell of accounts and lists."""
    named = event.message or event.provider_message or is_addressed(event)
    return event.type == EventType.RECEIVED or not named


def idempotency_key(workspace: int, key: str) -> bytes:
    """The 16 bytes under which an event's idempotency key is remembered."""
    return hashlib.blake2b(f"{workspace}\0{key}".encode(), digest_size=16, person=b"postmeter-event").digest()
