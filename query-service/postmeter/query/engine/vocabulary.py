"""What can be asked for: metrics and dimensions, declared as data over the rollups' columns."""

from __future__ import annotations

from dataclasses import dataclass

from postmeter.shared.storage import rollups
from postmeter.shared.storage.rollups import ACTIVITY, CONVERSIONS, LINKS, METRICS, Rollup


@dataclass(frozen=True)
class Dimension:
    """Something to group and filter by. Expressions over `series` (and, for links, `link`) and the rows themselves.

    key: what a row's group is. join: what else has to be joined for it. chosen: the condition that keeps the
    rows of the values in `{values}`.
    """

    key: str
    chosen: str
    join: str = ""


def _column(name: str) -> Dimension:
    return Dimension(f"series.{name}", f"series.{name} = ANY ({{values}}::text[])")


_OTHERS = {
    # A message with several tags counts under each; one without under ''. Filtered by, it counts once.
    "tag": Dimension(
        "tagged.tag",
        "(series.tags && {values}::text[] OR series.tags = '{{}}' AND '' = ANY ({values}::text[]))",
        "CROSS JOIN LATERAL unnest(CASE series.tags WHEN '{}' THEN '{\"\"}' ELSE series.tags END) AS tagged (tag)",
    ),
    "link": Dimension(
        "coalesce(link.url, '" + rollups.OTHER + "')",
        "coalesce(link.url, '" + rollups.OTHER + "') = ANY ({values}::text[])",
        "LEFT JOIN link ON link.workspace = $1 AND link.id = counted.link",
    ),
    "currency": Dimension("counted.currency", "counted.currency = ANY ({values}::text[])"),
}
DIMENSIONS = {name: _OTHERS.get(name) or _column(name) for name in rollups.ASKED_BY}
"""In the order in which they are listed to callers."""

LINK = "link"
CURRENCY = "currency"
OF_ROLLUP = {LINK: LINKS, CURRENCY: CONVERSIONS}
"""Dimensions that only one rollup has: columns of its own rows, not of their series."""
LINK_METRICS = ("clicks", "machine_clicks")
"""What is counted by link."""
INBOUND_METRICS = ("received", "spam", "size_bytes")
"""What is counted of mail that came in: it has a domain, and nothing else that mail has which was sent."""
REVENUE = "revenue"
"""Money: an exact decimal. Never summed up over currencies: callers have to take care of that."""


def metrics_of(rollup: Rollup) -> dict[str, tuple[str, ...]]:
    """Metrics that `rollup` answers. Those of the cohorts are their counters (rollups.py says what they mean)."""
    if rollup is ACTIVITY:
        return _ACTIVITY
    if rollup is LINKS:
        return {name: METRICS[name] for name in LINK_METRICS}
    return {counter: (counter,) for counter in rollup.counters}


CONVERSION_METRICS = tuple(metrics_of(CONVERSIONS))
_ACTIVITY = {name: parts for name, parts in METRICS.items() if name not in CONVERSION_METRICS}

unknown_counters = {c for parts in _ACTIVITY.values() for c in parts} - set(rollups.COUNTERS)
assert not unknown_counters, unknown_counters
