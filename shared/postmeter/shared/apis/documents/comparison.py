"""Workspaces, campaigns side by side: what they are compared by, and the shapes of the answer."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

RATES = (
    "delivery_rate",
    "open_rate",
    "click_rate",
    "click_to_open_rate",
    "reply_rate",
    "bounce_rate",
    "spam_rate",
    "unsubscribe_rate",
)
"""What campaigns can be compared by."""
DEFAULT_RATES = ("open_rate", "click_rate", "reply_rate", "delivery_rate")
"""What they are compared by unless metrics are named."""


class Interval(Struct):
    """A rate's counts and its 95 % Wilson interval, in percent. Null where there were no trials."""

    successes: int
    trials: int
    lower: Decimal | None
    upper: Decimal | None


class ComparedCampaign(Struct):
    """One campaign's rates in percent, and what they were computed from."""

    campaign_id: str
    campaign_name: str
    metrics: dict[str, Decimal]
    intervals: dict[str, Interval]


class Significance(Struct):
    """Whether the winner's rate is higher by more than chance: the largest Holm-corrected p-value."""

    metric: str
    winner: str | None
    p_value: Decimal | None
    is_significant: bool


class Comparison(Struct):
    """Campaigns side by side."""

    comparison: list[ComparedCampaign]
    statistical_significance: list[Significance]


class CompareAnswer(Struct):
    """POST .../analytics/compare."""

    success: bool
    data: Comparison
