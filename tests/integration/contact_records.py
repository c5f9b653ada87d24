"""Purchases by hand."""

from decimal import Decimal
from typing import Any

from msgspec import structs

from postmeter.shared.stream.records import Purchase


def purchase(event_id: str, contact: str, at: int, amount: str = "1.00", **changes: Any) -> Purchase:
    given = Purchase(
        at=at,
        received=at,
        workspace=1,
        id=event_id,
        order="",
        contact=contact,
        amount=Decimal(amount),
        currency="EUR",
        items="[]",
        digest=b"",
        claimed=None,
    )
    return structs.replace(given, **changes)
