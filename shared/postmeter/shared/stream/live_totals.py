"""The live totals of a workspace, as they stand in Redis (ADR 0004)."""

from __future__ import annotations

import msgspec


class LiveTotals(msgspec.Struct, kw_only=True):
    """Counts since the workspace began, of one shard; the sum over shards is the workspace's."""

    opens: int = 0
    unique_opens: int = 0
    machine_opens: int = 0
    clicks: int = 0
    unique_clicks: int = 0
    machine_clicks: int = 0


def encode(totals: LiveTotals) -> bytes:
    """JSON of one shard's totals."""
    return msgspec.json.encode(totals)


def total(shards: list[bytes]) -> LiveTotals:
    """Sum of the shards' JSON."""
    result = LiveTotals()
    for shard in shards:
        part = msgspec.json.decode(shard, type=LiveTotals)
        for name in LiveTotals.__struct_fields__:
            setattr(result, name, getattr(result, name) + getattr(part, name))
    return result
