"""Single recipients: endpoints to erase one, and to hand out what is kept of one (docs/api/erasure.md)."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Struct, UnsetType

from postmeter.shared.apis.endpoint import Caching, Day, Service, Timestamp, described, native, one_of
from postmeter.shared.apis.mail.message_events import MessageHistory
from postmeter.shared.apis.privacy.consent import RecipientConsent

ERASE_PATH = "/v1/recipients/erase"
ERASURE_PATH = "/v1/recipients/erasures/{id}"
EXPORT_PATH = "/v1/recipients/export"
MOST_MESSAGES, MOST_EVENTS, MOST_ROWS = 200, 200, 1000
MOST_OF_A_SECOND = 800
"""Of a list beyond its most, of the second at which a page ends: whoever goes on by the last time, which is told to the
second, misses none of so many; by `next` nobody misses any."""
ADMINS = ("super_admin", "admin")
PROCESSING, COMPLETED = "processing", "completed"
_Status = Annotated[str, one_of(PROCESSING, COMPLETED)]


_Address = Annotated[str, described("An address, with or without a name.")]
_Hash = Annotated[str, described("As messages show it.", pattern="^[0-9a-fA-F]{64}$")]


class ByAddress(Struct, forbid_unknown_fields=True):
    """A recipient by the address."""

    to: _Address


class ByHash(Struct, forbid_unknown_fields=True):
    """A recipient by the hash."""

    to_hash: _Hash


class Recipient(Struct, forbid_unknown_fields=True):
    """One of both, as it is read."""

    to: str | UnsetType = UNSET
    to_hash: str | UnsetType = UNSET


class OrderedErasure(Struct):
    """An erasure that was ordered."""

    id: Annotated[str, described("", format="uuid")]
    status: _Status


class OrderedErasureAnswer(Struct):
    """POST /v1/recipients/erase."""

    data: OrderedErasure


class Erasure(Struct):
    """An erasure. removed: by table, how many rows were taken out, or lost what identifies."""

    id: Annotated[str, described("", format="uuid")]
    status: _Status
    removed: dict[str, int]
    completed_at: Timestamp | None


class ErasureAnswer(Struct):
    """GET /v1/recipients/erasures/{id}."""

    data: Erasure


class ListStarts(Struct, kw_only=True, forbid_unknown_fields=True):
    """Where each list of POST /v1/recipients/export begins, for what was left out; without one, at its latest.

    Each takes a time, or what the answer before says for it in `next`.
    """

    before: Annotated[str | UnsetType, described("Only messages that were created before it.")] = UNSET
    consent_before: Annotated[
        str | UnsetType, described("Of `consent.history` only choices whose `recorded_at` is before it.")
    ] = UNSET
    purchases_before: Annotated[str | UnsetType, described("Only purchases whose `at` is before it.")] = UNSET
    custom_events_before: Annotated[str | UnsetType, described("Only those whose `at` is before it.")] = UNSET
    waiting_before: Annotated[str | UnsetType, described("Only those whose `since` is before it.")] = UNSET
    put_aside_before: Annotated[str | UnsetType, described("Only those whose `at` is before it.")] = UNSET


class ExportByAddress(ListStarts, kw_only=True, forbid_unknown_fields=True):
    """Body of POST /v1/recipients/export."""

    to: _Address


class ExportByHash(ListStarts, kw_only=True, forbid_unknown_fields=True):
    """Body of POST /v1/recipients/export."""

    to_hash: _Hash


class ExportBody(ListStarts, kw_only=True, forbid_unknown_fields=True):
    """Either of both bodies, as it is read."""

    to: str | UnsetType = UNSET
    to_hash: str | UnsetType = UNSET


class FirstEngagements(Struct):
    """When a message was first opened, clicked and so on; null: never."""

    opened: Timestamp | None = None
    clicked: Timestamp | None = None
    replied: Timestamp | None = None
    unsubscribed: Timestamp | None = None


class KeptMessage(MessageHistory):
    """A message, what happened to it and when first. to_domain: of the address."""

    to_domain: str
    first: FirstEngagements


class KeptPurchase(Struct):
    """A purchase, and the campaign that it was attributed to."""

    id: str
    order_id: str | None
    amount: str
    currency: str
    items: Any
    at: Timestamp
    campaign: str | None


class KeptCustomEvent(Struct):
    """A custom event."""

    id: str
    name: str
    properties: Any
    at: Timestamp


class WaitingEvent(Struct):
    """An event that waits for its message; of opens and clicks nobody knows yet whose they are, so there are none."""

    since: Timestamp
    type: str
    at: Timestamp
    provider: str | None
    reason: str | None


class PutAsideRecord(Struct):
    """What could not be counted and was put aside for a person to look at."""

    at: Timestamp
    reason: str


class RecipientData(Struct):
    """Everything that is kept of a recipient. left_out: how much more there is of each list, before what it has, where
    that is more than one answer holds: 200 messages, the latest, 200 events of each, 1,000 of the others. next: fields
    to ask with for the rest of these lists.
    """

    to_hash: str
    messages: list[KeptMessage]
    consent: RecipientConsent
    last_open: Day | None
    purchases: list[KeptPurchase]
    custom_events: list[KeptCustomEvent]
    waiting: list[WaitingEvent]
    put_aside: list[PutAsideRecord]
    left_out: dict[str, int]
    next: dict[str, str]


class RecipientDataAnswer(Struct):
    """POST /v1/recipients/export."""

    data: RecipientData


ENDPOINTS = (
    native(
        "POST",
        ERASE_PATH,
        "Erase a recipient: what identifies them is removed, numbers stay",
        OrderedErasureAnswer,
        service=Service.GATEWAY,
        scope="privacy",
        roles=ADMINS,
        max_body=16 * 1024,
        body=ByAddress | ByHash,
        status=202,
    ),
    native(
        "GET",
        ERASURE_PATH,
        "How far an erasure is, and what it removed",
        ErasureAnswer,
        service=Service.GATEWAY,
        scope="privacy",
        failures=(404,),
    ),
    native(
        "POST",
        EXPORT_PATH,
        "Everything that is kept of a recipient",
        RecipientDataAnswer,
        service=Service.QUERY,
        scope="privacy",
        roles=ADMINS,
        max_body=16 * 1024,
        body=ExportByAddress | ExportByHash,
        caching=Caching.NEVER,  # it leaves an entry in the audit log
    ),
)
