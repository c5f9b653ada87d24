"""Stream entries unpacked: the records that can be counted, and those that cannot with their reason."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from postmeter.aggregator.stream import checks
from postmeter.aggregator.stream.reader import Entry
from postmeter.shared.stream import records
from postmeter.shared.stream.records import Record, Refusal

ID_BYTES = 200
"""Of a batch's id, which is a key in Postgres; a longer one is nobody's of ours, and its digest stands for it."""


@dataclass(frozen=True)
class Rejected:
    """A record put aside: why, what it is or its bytes where it could not be read, whose it is and its entry's shard if
    these are known.
    """

    reason: str
    record: Record | bytes
    batch: bytes
    workspace: int | None = None
    shard: int | None = None


@dataclass
class Batch:
    """One stream entry. `id` is the producer's batch id, the same in every retry."""

    id: bytes
    records: list[Record] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


def unpack(entry: Entry) -> Batch:
    """Never raises: what cannot be read or counted is in `rejected`."""
    batch = Batch(_id(entry.batch or entry.id))
    try:
        found = records.decode(entry.packed)
    except (ValueError, RecursionError):  # msgspec's own errors are ValueErrors; so is text that is not UTF-8
        found, unreadable = records.decode_each(entry.packed)
        batch.rejected = [
            Rejected(f"unreadable: {reason}", packed, batch.id, shard=entry.shard) for packed, reason in unreadable
        ]
    if Refusal in set(map(type, found)):
        refusals = [record for record in found if type(record) is Refusal]
        batch.rejected += [
            Rejected(f"{r.origin}: {r.reason}", r.body, batch.id, r.workspace, entry.shard) for r in refusals
        ]
        found = [record for record in found if type(record) is not Refusal]
    batch.records = checks.sound(found)
    if len(batch.records) < len(found):
        batch.rejected += [
            reject(r, reason, batch.id, entry.shard) for r in found if (reason := checks.fault(r)) is not None
        ]
    return batch


def _id(given: bytes) -> bytes:
    return given if len(given) <= ID_BYTES else hashlib.blake2b(given, digest_size=16).digest()


def reject(record: Record, reason: str, batch: bytes, shard: int | None = None) -> Rejected:
    """Put one readable record aside."""
    return Rejected(reason, record, batch, record.workspace, shard)
