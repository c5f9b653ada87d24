"""Deltas of counters by bucket: made wider from tier to tier, and summed up over a workspace's series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Context, Inexact, InvalidOperation, localcontext
from operator import add
from typing import Any

from postmeter.aggregator.fold.moments import MICROSECONDS
from postmeter.shared.storage.rollups import TOTAL, Tier

Bucket = tuple[int, int, int]
"""(workspace, the bucket's start in microseconds, series)"""
Deltas = dict[Bucket, list[int]]
"""By bucket, what is added to each of a rollup's counters."""
Cells = Mapping[Any, Sequence[Any]]
"""The same of any rollup: its keys are buckets, followed by the rollup's own key where it has one."""

EXACT = Context(prec=200, traps=[Inexact, InvalidOperation])
"""Sums of money never lose a digit; Python's own context rounds to 28."""


def counts_of(deltas: Deltas, key: Bucket, counters: int) -> list[int]:
    """The bucket's counters, all 0 where it was not touched before; to be added to in place."""
    found = deltas.get(key)
    if found is None:
        found = deltas[key] = [0] * counters
    return found


def width(tier: Tier) -> int:
    """Of its buckets, in microseconds."""
    return tier.seconds * MICROSECONDS


def with_totals(deltas: Cells, micros: int = 1) -> dict[Any, Sequence[Any]]:
    """These and, in each bucket, the series TOTAL: the sum of all series of the workspace.

    micros: how wide the buckets of TOTAL are, a multiple of the present width.
    """
    totals: dict[Any, Sequence[Any]] = {}
    with localcontext(EXACT):
        for key, counts in deltas.items():
            _merge(totals, (key[0], key[1] - key[1] % micros, TOTAL, *key[3:]), counts)
    return {**deltas, **totals}


def widened(deltas: Cells, micros: int) -> dict[Any, Sequence[Any]]:
    """The same counts in buckets of `micros` microseconds, a multiple of their present width."""
    merged: dict[Any, Sequence[Any]] = {}
    with localcontext(EXACT):
        for key, counts in deltas.items():
            _merge(merged, (key[0], key[1] - key[1] % micros, *key[2:]), counts)
    return merged


def _merge(merged: dict[Any, Sequence[Any]], key: Any, counts: Sequence[Any]) -> None:
    # Never in place: a list may belong to several of these dictionaries.
    known = merged.get(key)
    merged[key] = counts if known is None else list(map(add, known, counts))
