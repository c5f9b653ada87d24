"""What contacts did, as the track API reports it: purchases and custom events, stored inside a flush's transaction."""

from __future__ import annotations

from dataclasses import dataclass, field

from postmeter.aggregator.fold.horizon import Horizon
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream.records import CustomEvent, Purchase

QUERIES = Queries("postmeter.aggregator.conversions", "conversions.sql")

Named = tuple[int, str]
"""(workspace, event_id)"""


@dataclass
class Stored:
    """What a flush found. purchases: new ones. repeated: those reported again. custom: custom events."""

    purchases: int = 0
    repeated: list[Named] = field(default_factory=list)
    custom: int = 0


async def store(connection: Connection, found: list[Purchase], custom: list[CustomEvent], horizon: Horizon) -> Stored:
    """Store what is new of these. An order's first purchase stays, whatever is reported under its id later."""
    purchases: dict[Named, Purchase] = {}
    stored = Stored()
    for record in found:
        named = (record.workspace, record.id)
        if purchases.setdefault(named, record) is not record:
            stored.repeated.append(named)
    stored.custom = len(custom)
    if purchases:
        stored.repeated += await _store_purchases(connection, purchases, horizon)
        stored.purchases = len(purchases)
    if custom:
        oldest = horizon.oldest["custom_event"]
        rows = [row for row in (_custom(event, horizon) for event in custom) if row[5] >= oldest]
        if rows:
            await connection.execute(QUERIES["store_custom_events"], *zip(*rows, strict=True))
    return stored


async def _store_purchases(connection: Connection, purchases: dict[Named, Purchase], horizon: Horizon) -> list[Named]:
    """Store those that are not stored yet; the others are taken out of `purchases`, and returned."""
    rows = await connection.fetch(QUERIES["known_purchases"], *zip(*purchases, strict=True))
    known = [(row["workspace"], row["id"]) for row in rows]
    for named in known:
        del purchases[named]
    if purchases:
        columns = zip(*(_purchase(one, horizon) for one in purchases.values()), strict=True)
        await connection.execute(QUERIES["store_purchases"], *columns)
    return known


def _purchase(record: Purchase, horizon: Horizon) -> tuple[object, ...]:
    at = horizon.place(record.at, record.received)
    return (
        record.workspace,
        record.id,
        record.order,
        record.contact,
        record.amount,
        record.currency,
        record.items,
        record.digest,
        at,
        horizon.place(record.received, record.received),
        record.claimed if at == record.at else record.at,
    )


def _custom(record: CustomEvent, horizon: Horizon) -> tuple[int, str, str, str, str, int, int, int | None]:
    at = horizon.place(record.at, record.received)
    return (
        record.workspace,
        record.id,
        record.name,
        record.contact,
        record.properties,
        at,
        horizon.place(record.received, record.received),
        record.claimed if at == record.at else record.at,
    )
