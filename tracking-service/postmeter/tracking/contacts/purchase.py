"""One purchase as it is given, and the record it becomes."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import msgspec

from postmeter.shared.apis.documents.misar import Item, PurchaseBody
from postmeter.shared.http import json_bodies
from postmeter.shared.http.fields import invalid
from postmeter.shared.privacy import recipients
from postmeter.shared.storage import uuid7
from postmeter.shared.stream.records import Purchase
from postmeter.tracking.contacts import values
from postmeter.tracking.requests import fields

MAX_ITEMS = 200
ORDER_CHARS = 200


class Lines(msgspec.Struct):
    """The items again, with all their fields as they were written."""

    items: list[dict[str, msgspec.Raw]] = []


_decoder = msgspec.json.Decoder(PurchaseBody)
_lines = msgspec.json.Decoder(Lines)
_encoder = msgspec.json.Encoder(decimal_format="number")


def read(workspace: int, body: bytes) -> Purchase:
    """Check a body. Raises RequestError 400 for what is not JSON, else FieldRefused."""
    given = json_bodies.decode(_decoder, body)
    received = datetime.now(UTC)
    at, claimed = values.timestamp(given.timestamp, received)
    address, _ = fields.address("contact_email", given.contact_email)
    currency = values.currency(given.currency)
    amount = values.amount(given.amount, currency)
    order = fields.text("order_id", given.order_id, ORDER_CHARS)
    if given.order_id is not None and not order:
        raise invalid("order_id", "must not be empty")
    contact = recipients.hash_of(address)
    return Purchase(
        at=at,
        received=fields.micros(received),
        workspace=workspace,
        id=f"evt_{order_hash(workspace, order).hex() if order else uuid7.new().hex}",
        order=order,
        contact=contact,
        amount=amount,
        currency=currency.code,
        items=_items(given.items, json_bodies.decode(_lines, body).items) if given.items else "[]",
        digest=hashlib.blake2b(f"{contact}\0{amount}\0{currency.code}".encode(), digest_size=8).digest(),
        claimed=claimed,
    )


def order_hash(workspace: int, order: str) -> bytes:
    """16 bytes that name an order: its event_id follows from them, and the shard of all its repetitions."""
    return hashlib.blake2b(f"{workspace}\0{order}".encode(), digest_size=16, person=b"postmeter-order").digest()


def _items(given: list[Item], lines: list[dict[str, msgspec.Raw]]) -> str:
    if len(given) > MAX_ITEMS:
        raise invalid("items", f"at most {MAX_ITEMS}")
    found: list[dict[str, Any]] = []
    for index, (item, line) in enumerate(zip(given, lines, strict=True)):
        place, why = f"items[{index}]", f"takes at most {values.FINE_PLACES} decimals"
        quantity = values.number(f"{place}.quantity", item.quantity, values.FINE_PLACES, why)
        if quantity <= 0:
            raise invalid(f"{place}.quantity", "takes a number above 0")
        name = fields.text(f"{place}.name", item.name, 500)
        price = values.number(f"{place}.price", item.price, values.FINE_PLACES, why)
        known = {"name": name, "quantity": quantity.normalize(), "price": price.normalize()}
        own = {name: value for name, value in line.items() if name not in known}
        if own:
            values.properties(msgspec.Raw(_encoder.encode(own)), place)
        found.append(known | own)
    return _encoder.encode(found).decode()
