"""What can be asked for: metrics and dimensions, declared as data over the rollups' columns."""

from __future__ import annotations

from postmeter.shared import rollups

METRICS: dict[str, tuple[str, ...]] = {
    "sent": ("sent",),
    "delivered": ("delivered",),
    "deferred": ("deferred",),
    "bounced": ("hard_bounced", "soft_bounced"),
    "hard_bounced": ("hard_bounced",),
    "soft_bounced": ("soft_bounced",),
    "failed": ("failed",),
    "complained": ("complained",),
    "unsubscribed": ("unsubscribed",),
    "unique_unsubscribed": ("unique_unsubscribed",),
    "opens": ("human_opens", "proxy_opens"),
    "unique_opens": ("unique_opens",),
    "human_opens": ("human_opens",),
    "proxy_opens": ("proxy_opens",),
    "machine_opens": ("machine_opens",),
    "clicks": ("human_clicks",),
    "unique_clicks": ("unique_clicks",),
    "machine_clicks": ("machine_clicks",),
    "replies": ("replies",),
    "unique_replies": ("unique_replies",),
    "received": ("received",),
    "spam": ("spam",),
    "size_bytes": ("size_bytes",),
}
"""Metric: the counters it is the sum of. Opens and clicks leave machine ones out (SEMANTICS.md)."""

DIMENSIONS = tuple(name for name in rollups.DIMENSIONS if name != "tags")
"""Columns of `series` to group and filter by. A message has many tags, so a tag is no column."""

unknown_counters = {c for parts in METRICS.values() for c in parts} - set(rollups.COUNTERS)
assert not unknown_counters, unknown_counters
