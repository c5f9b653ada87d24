"""Leases, positions, slots, and what was counted before."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.simulation.postgres.statements import Rows, statement
from tests.simulation.postgres.store import Row, Transaction

SECOND = 1_000_000


@statement
def name(tx: Transaction, _: str) -> Rows:
    return [{"name": "the only one", "now": tx.store.clock()}]


@statement
def enlist(tx: Transaction, _: str, shards: int) -> None:
    for shard in range(shards):
        row = {"shard": shard, "position": "0-0", "epoch": 0, "owner": None, "lease_until": None}
        if tx.get("shard", shard) is None:
            tx.insert("shard", shard, row)


@statement
def heartbeat(tx: Transaction, _: str, owner: str) -> None:
    now = tx.store.clock()
    tx.upsert("aggregator", owner, {"id": owner, "seen_at": now}, lambda row: row | {"seen_at": now})


@statement
def leave(tx: Transaction, _: str, owner: str) -> None:
    if tx.take("aggregator", owner) is not None:
        tx.put("aggregator", owner, None)


@statement
def share(tx: Transaction, _: str, seconds: float) -> Rows:
    now = tx.store.clock()
    living = sorted(key for key, row in tx.rows("aggregator") if abs(row["seen_at"] - now) <= seconds * SECOND)
    return [{"shards": sum(1 for _ in tx.rows("shard")), "living": living}]


@statement
def renew(tx: Transaction, _: str, owner: str, seconds: float) -> Rows:
    until = tx.store.clock() + int(seconds * SECOND)
    found = []
    for shard, _row in sorted(tx.rows("shard"), key=lambda one: one[0]):
        row = tx.change("shard", shard, lambda row: bool(row["owner"] == owner), lease_until=until)
        if row is not None:
            found.append({"shard": shard, "epoch": row["epoch"]})
    return found


@statement
def acquire(tx: Transaction, _: str, owner: str, seconds: float, most: int) -> Rows:
    now = tx.store.clock()
    longest = 2 * seconds * SECOND

    def is_free(row: dict[str, Any]) -> bool:
        return row["owner"] is None or (row["owner"] != owner and not 0 <= row["lease_until"] - now <= longest)

    found: Rows = []
    for shard, _row in sorted(tx.rows("shard"), key=lambda one: one[0]):
        if len(found) == most:
            break
        if not tx.is_free("shard", shard):
            continue
        before = tx.take("shard", shard, is_free)
        if before is None:
            continue
        row = before | {"owner": owner, "epoch": before["epoch"] + 1, "lease_until": now + int(seconds * SECOND)}
        tx.put("shard", shard, row)
        found.append({**row, "previous": before["owner"]})
    return found


@statement
def release(tx: Transaction, _: str, shard: int, owner: str, epoch: int) -> None:
    tx.change("shard", shard, lambda row: row["owner"] == owner and row["epoch"] == epoch, owner=None, lease_until=None)


@statement
def positions(tx: Transaction, _: str, shards: list[int], epochs: list[int]) -> Rows:
    found = [(tx.get("shard", shard), epoch) for shard, epoch in zip(shards, epochs, strict=True)]
    return [row for row, epoch in found if row is not None and row["epoch"] == epoch]


@statement
def advance(tx: Transaction, _: str, *columns: Any) -> Rows:
    found: Rows = []
    for shard, epoch, before, after in sorted(zip(*columns, strict=True)):
        stands = partial(_stands, epoch, before)
        row = tx.change("shard", shard, stands, position=after)
        if row is not None:
            tx.moved.append((shard, epoch))
            found.append(row)
    return found


def _stands(epoch: int, position: Any, row: Row) -> bool:
    return bool(row["epoch"] == epoch and row["position"] == position)


@statement
def lock(tx: Transaction, _: str, slots: list[int]) -> Rows:
    found = [tx.take("slot", slot) for slot in sorted(slots)]
    return [row for row in found if row is not None]


@statement
def take(tx: Transaction, _: str, slots: list[int], writer: str) -> None:
    for slot in slots:
        tx.change("slot", slot, lambda _: True, writer=writer)


@statement
def claim(tx: Transaction, _: str, workspaces: list[int], keys: list[bytes], digests: list[bytes | None]) -> Rows:
    # All of a world is in one day (UTC), and not in its first hour.
    found = []
    for workspace, key, digest in sorted(zip(workspaces, keys, digests, strict=True), key=lambda one: one[:2]):
        if tx.get("dedup", (workspace, key)) is not None:
            continue
        row = {"workspace": workspace, "key": key, "digest": digest}
        if tx.insert("dedup", (workspace, key), row):
            found.append(row)
    return found


@statement
def haunted(tx: Transaction, _: str, workspaces: list[int]) -> Rows:
    """Nobody is erased in this world."""
    return []


@statement
def digests(tx: Transaction, _: str, workspaces: list[int], keys: list[bytes]) -> Rows:
    found = [tx.get("dedup", place) for place in zip(workspaces, keys, strict=True)]
    return [row for row in found if row is not None]


@statement
def put_aside(tx: Transaction, _: str, *columns: Any) -> None:
    for workspace, shard, batch, reason, record in zip(*columns, strict=True):
        row = {"workspace": workspace, "shard": shard, "batch": batch, "reason": reason, "record": record}
        tx.insert("dead_letter", tx.store.number(), row)


@statement
def count_dead_letters(tx: Transaction, _: str, workspace: int, most: int) -> Rows:
    return [{"count": min(most, sum(row["workspace"] == workspace for _, row in tx.rows("dead_letter")))}]


@statement
def raise_versions(tx: Transaction, _: str, workspaces: list[int]) -> None:
    """A row of each workspace that nobody holds, else another one."""
    now = tx.store.clock()
    for workspace in workspaces:
        known = sorted(key for key, _ in tx.rows("answer_version") if key[0] == workspace)
        place = next((key for key in known if tx.is_free("answer_version", key)), (workspace, tx.store.number()))
        tx.upsert("answer_version", place, {"version": now}, lambda row: {"version": max(row["version"] + 1, now)})


@statement
def discard_plans(tx: Transaction, _: str) -> None:
    pass


@statement
def plan_anew(tx: Transaction, _: str) -> None:
    pass


@statement
def providers_that_count(tx: Transaction, _: str) -> Rows:
    """No webhooks in this world."""
    return []


@statement
def ceilings(tx: Transaction, _: str) -> Rows:
    """No workspace has said anything of levels."""
    return []


@statement
def settings(tx: Transaction, _: str) -> Rows:
    """All workspaces have the usual thresholds."""
    return []
