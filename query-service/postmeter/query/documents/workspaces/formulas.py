"""Workspaces' rates (semantics.md, "Formulas"), declared as data over the engine's metrics."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from postmeter.query import rates
from postmeter.shared.apis.documents import comparison

METRICS = (
    "sent",
    "delivered",
    "bounced",
    "unique_opens",
    "unique_clicks",
    "unique_replies",
    "complained",
    "unique_unsubscribed",
)
"""What the rates are computed from. Opens, clicks, replies, unsubscribes: each message once."""

RATES = {
    "delivery_rate": ("delivered", "sent"),
    "open_rate": ("unique_opens", "delivered"),
    "click_rate": ("unique_clicks", "delivered"),
    "click_to_open_rate": ("unique_clicks", "unique_opens"),
    "reply_rate": ("unique_replies", "delivered"),
    "bounce_rate": ("bounced", "sent"),
    "spam_rate": ("complained", "delivered"),
    "unsubscribe_rate": ("unique_unsubscribed", "delivered"),
}
"""Rate: what happened, and out of what."""

assert tuple(RATES) == comparison.RATES

Counts = Mapping[str, int]
"""METRICS and how often each was counted."""


def total(rows: list[tuple[int, ...]]) -> dict[str, int]:
    """The sums of rows of METRICS; zeros where there are none."""
    return {metric: sum(row[place] for row in rows) for place, metric in enumerate(METRICS)}


def rate(name: str, counts: Counts) -> Decimal:
    """A rate in percent, two decimals."""
    happened, out_of = RATES[name]
    return rates.percent(counts[happened], counts[out_of])
