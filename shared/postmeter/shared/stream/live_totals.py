"""The live totals of a workspace, as they stand in Redis (ADR 0004)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class LiveTotals(msgspec.Struct, kw_only=True):
    """Counts since the workspace began, of one shard; the sum over shards is the workspace's."""

    opens: int = 0
    unique_opens: int = 0
    machine_opens: int = 0
    clicks: int = 0
    unique_clicks: int = 0
    machine_clicks: int = 0


_decoder = msgspec.json.Decoder(LiveTotals)


def encode(totals: LiveTotals) -> bytes:
    """JSON of one shard's totals."""
    return msgspec.json.encode(totals)


def decode(text: bytes | str) -> LiveTotals:
    """One shard's totals. Raises ValueError for what is not theirs."""
    return _decoder.decode(text)


def total(shards: Iterable[LiveTotals]) -> LiveTotals:
    """Their sum."""
    result = LiveTotals()
    for shard in shards:
        for name in LiveTotals.__struct_fields__:
            setattr(result, name, getattr(result, name) + getattr(shard, name))
    return result
