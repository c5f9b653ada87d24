"""Rollups as data: every counter and every tier, declared once for aggregator and query-service alike."""

from __future__ import annotations

from dataclasses import dataclass

COUNTERS = (
    "sent",
    "delivered",
    "deferred",
    "hard_bounced",
    "soft_bounced",
    "failed",
    "complained",
    "unsubscribed",
    "unique_unsubscribed",
    "human_opens",
    "proxy_opens",
    "machine_opens",
    "unique_opens",
    "human_clicks",
    "machine_clicks",
    "unique_clicks",
    "replies",
    "unique_replies",
    "received",
    "spam",
    "size_bytes",
)
"""Columns of every activity table, in their order. An event adds to its own bucket, whenever it arrives."""


@dataclass(frozen=True)
class Tier:
    """One rollup table: series x bucket x COUNTERS, buckets of `seconds` aligned to UTC."""

    table: str
    seconds: int


TIERS = (Tier("activity_15m", 900), Tier("activity_1h", 3600), Tier("activity_1d", 86400))
"""From fine to coarse; each is a multiple of the one before."""

OTHER = "(other)"
"""Every dimension of the series that stands for all combinations beyond a workspace's limit."""

DIMENSIONS = ("campaign", "domain", "provider", "template", "tags")
"""Columns of `series`, in their order; the empty string (or no tags) means that a message has none."""
