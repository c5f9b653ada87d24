"""Deltas of counters by bucket: made wider from tier to tier, and summed up over a workspace's series."""

from __future__ import annotations

from postmeter.shared.rollups import TOTAL

Bucket = tuple[int, int, int]
"""(workspace, the bucket's start in microseconds, series)"""
Deltas = dict[Bucket, list[int]]
"""By bucket, what is added to each of a rollup's counters."""


def counts_of(deltas: Deltas, key: Bucket, counters: int) -> list[int]:
    """The bucket's counters, all 0 where it was not touched before; to be added to in place."""
    found = deltas.get(key)
    if found is None:
        found = deltas[key] = [0] * counters
    return found


def with_totals(deltas: Deltas) -> Deltas:
    """These and, in each bucket, the series TOTAL: the sum of all series of the workspace."""
    totals: Deltas = {}
    for (workspace, start, _), counts in deltas.items():
        _merge(totals, (workspace, start, TOTAL), counts)
    return deltas | totals


def widened(deltas: Deltas, width: int) -> Deltas:
    """The same counts in buckets of `width` microseconds, a multiple of their present width."""
    merged: Deltas = {}
    for (workspace, start, series), counts in deltas.items():
        _merge(merged, (workspace, start - start % width, series), counts)
    return merged


def _merge(merged: Deltas, key: Bucket, counts: list[int]) -> None:
    # Never in place: a list may belong to several of these dictionaries.
    known = merged.get(key)
    merged[key] = counts if known is None else [a + b for a, b in zip(known, counts, strict=True)]
