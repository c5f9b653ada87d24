"""The aggregator's SQL, and the one family of statements that is made from data: the rollups."""

from __future__ import annotations

from postmeter.shared.rollups import Tier
from postmeter.shared.sql import Queries

QUERIES = Queries("postmeter.aggregator.store", "queries.sql")
COHORTS = Queries("postmeter.aggregator.store", "cohorts.sql")


def add_counts(tier: Tier, counters: tuple[str, ...]) -> str:
    """Add to a tier's counters: $1 workspaces, $2 buckets, $3 series, then one array per counter."""
    names = ", ".join(counters)
    arrays = ", ".join(f"${place}::bigint[]" for place in range(4, 4 + len(counters)))
    sums = ", ".join(f"{name} = {tier.table}.{name} + excluded.{name}" for name in counters)
    return (
        f"/* add_{tier.table} */ INSERT INTO {tier.table} (workspace, bucket, series, {names})"
        f" SELECT * FROM unnest($1::int[], $2::timestamptz[], $3::bigint[], {arrays}) ORDER BY 1, 2, 3"
        f" ON CONFLICT (workspace, bucket, series) DO UPDATE SET {sums}"
    )
