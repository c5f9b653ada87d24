"""What was counted before: batch ids (under workspace 0) and idempotency keys.

Repetitions nearly always pass through one shard (ADR 0048), else two transactions at once meet in the row of a day.
"""

from __future__ import annotations

from postmeter.aggregator import metrics
from postmeter.aggregator.stream.batches import Batch, Rejected, reject
from postmeter.aggregator.stream.intake import Intake
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream.records import Event, Record

_QUERIES = Queries("postmeter.aggregator.store", "dedup.sql")

BATCHES = 0


async def fresh(connection: Connection, batches: list[Batch], counters: metrics.AggregatorMetrics) -> Intake:
    """What was never counted of these batches; repetitions of a key with another body are rejected."""
    never_counted = await _fresh_batches(connection, batches, counters)
    found, conflicts = await _fresh_records(connection, never_counted, counters)
    return Intake(rejected=[one for batch in never_counted for one in batch.rejected] + conflicts).add(found)


async def _fresh_batches(
    connection: Connection, batches: list[Batch], counters: metrics.AggregatorMetrics
) -> list[Batch]:
    """The batches that were never counted, each once, in their order."""
    unique: dict[bytes, Batch] = {}
    for batch in batches:
        unique.setdefault(batch.id, batch)
    claimed = await connection.fetch(_QUERIES["claim"], [BATCHES] * len(unique), list(unique), [None] * len(unique))
    fresh = {row["key"] for row in claimed}
    if len(fresh) < len(batches):
        counters.duplicates.labels("batch").inc(len(batches) - len(fresh))
    return [batch for batch in unique.values() if batch.id in fresh]


async def _fresh_records(
    connection: Connection, batches: list[Batch], counters: metrics.AggregatorMetrics
) -> tuple[list[Record], list[Rejected]]:
    """The records of these batches that were never counted, and repetitions of a key with another body."""
    keyed: dict[tuple[int, bytes], Event] = {}
    found: list[Record] = []
    again: list[tuple[Event, bytes]] = []
    for batch in batches:
        if Event not in set(map(type, batch.records)):
            found += batch.records
            continue
        for record in batch.records:
            if type(record) is not Event or not record.key:
                found.append(record)
            elif keyed.setdefault((record.workspace, record.key), record) is not record:
                again.append((record, batch.id))
    if not keyed:
        return found, []
    keys = sorted(keyed)
    workspaces, names = [workspace for workspace, _ in keys], [key for _, key in keys]
    claimed = await connection.fetch(_QUERIES["claim"], workspaces, names, [keyed[key].digest for key in keys])
    fresh = {(row["workspace"], row["key"]) for row in claimed}
    found += [event for key, event in keyed.items() if key in fresh]
    origin = {id(record): batch.id for batch in batches for record in batch.records}
    again += [(event, origin[id(event)]) for key, event in keyed.items() if key not in fresh]
    counters.duplicates.labels("event").inc(len(again))
    return found, await _conflicts(connection, again)


async def _conflicts(connection: Connection, again: list[tuple[Event, bytes]]) -> list[Rejected]:
    if not again:
        return []
    rows = await connection.fetch(
        _QUERIES["digests"], [event.workspace for event, _ in again], [event.key for event, _ in again]
    )
    counted = {(row["workspace"], row["key"]): row["digest"] for row in rows}
    return [
        reject(event, "idempotency key repeated with another body", batch)
        for event, batch in again
        if counted[event.workspace, event.key] != event.digest
    ]
