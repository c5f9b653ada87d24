"""Rollups as data: every tier and every counter, declared once for aggregator and query-service alike.

A rollup's table holds, for each series and each bucket, the sums of its counters. Series TOTAL is the sum
over all series of the workspace, kept in the same statement, so that a query without dimensions and filters
reads one row per bucket however many series there are. Where a bucket hardly has more than one series, that would be
every row twice: such a tier has no total, and its series are summed up where it is read. Partitions, retention and
what writes the tables follow from what is declared here; the tables themselves are made by migrations.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

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
    "anonymous_opens",
    "anonymous_clicks",
    "trackable",
)
"""Columns of every activity table, in their order. An event adds to its own bucket, whenever it arrives."""

STATE_COUNTERS = (
    "queued",
    "sending",
    "sent",
    "soft_bounced",
    "delivered",
    "failed",
    "hard_bounced",
    "complained",
)
"""Messages by their present state: events.State's names in its order. They exclude each other."""

SENT_COUNTERS = ("mailed", "opened", "clicked", "replied")
"""Messages that were sent, and of these the ones that were opened, clicked, replied to (each message once)."""

LINK_COUNTERS = ("human_clicks", "machine_clicks")
"""Clicks on one link."""


@dataclass(frozen=True)
class Tier:
    """One rollup table: series x bucket x counters, buckets of `seconds` aligned to UTC.

    has_total: whether there are rows of the series TOTAL. Where not, rows of it mean nothing (ADR 0066).
    """

    table: str
    seconds: int
    has_total: bool = True


@dataclass(frozen=True)
class Rollup:
    """Tables that hold the same counts in buckets of different widths, from fine to coarse.

    Each width is a multiple of the one before. key: what rows are of beside bucket and series, as (column, type).
    money: the counters that are exact decimals, not whole numbers.
    is_sparse: most counters of most rows are 0, and null stands for it (ADR 0064): read them by `added`.
    leaving: tiers that only services of the version before read: written as long as they are there, which is until
    `postmeter migrate --after` (ADR 0069).
    """

    name: str
    counters: tuple[str, ...]
    tiers: tuple[Tier, ...]
    leaving: tuple[Tier, ...] = ()
    key: tuple[str, str] | None = None
    money: frozenset[str] = frozenset()
    is_sparse: bool = False

    @property
    def totals(self) -> Tier | None:
        """The finest tier that has rows of the series TOTAL, as all coarser ones do then."""
        return next((tier for tier in self.tiers if tier.has_total), None)


TIERS = (Tier("activity_15m", 900), Tier("activity_1h", 3600), Tier("activity_1d", 86400))
"""Tiers of ACTIVITY."""

ACTIVITY = Rollup("activity", COUNTERS, TIERS, is_sparse=True)
"""Events, in the bucket of the time at which they happened."""

CREATED = Rollup(
    "created",
    STATE_COUNTERS,
    (
        Tier("cohort_created_1s", 1, has_total=False),
        Tier("cohort_created_15m", 900),
        Tier("cohort_created_1d", 86400),
    ),
    leaving=(Tier("cohort_created_1h", 3600),),
    is_sparse=True,
)
"""Messages, in the bucket of their creation, under their present state. By the second, so that a window that
begins at any second is exact without looking at messages."""

SENT = Rollup(
    "sent",
    SENT_COUNTERS,
    (Tier("cohort_sent_15m", 900),),
    leaving=(Tier("cohort_sent_1h", 3600),),
    is_sparse=True,
)
"""Messages, in the bucket of their (earliest) sending."""

LINKS = Rollup(
    "links",
    LINK_COUNTERS,
    (
        Tier("link_activity_15m", 900, has_total=False),
        Tier("link_activity_1d", 86400, has_total=False),
    ),
    leaving=(Tier("link_activity_1h", 3600, has_total=False),),
    key=("link", "bigint"),
    is_sparse=True,
)
"""Clicks by link, in the bucket of the time at which they happened."""

SUMMED_BY = ("campaign", "domain", "provider", "template", "mailbox_provider", "tag")
"""Dimensions by which days of ACTIVITY are summed up (ADR 0063); a message with several tags counts under each, one
without under the empty string. The tables name them by their places here, from 1 on. Another one comes last, with a
migration that makes all days due: until then it is counted by series.
"""

SUMS = {"activity_1h": Tier("activity_by_1h", 3600), "activity_1d": Tier("activity_by_1d", 86400)}
"""By the tier of ACTIVITY that they are the sums of."""
LINK_SUMS = {"link_activity_1d": Tier("link_activity_by_1d", 86400)}
"""By the tier of LINKS: clicks by link, of all series together."""
SUM_TIERS = (*SUMS.values(), *LINK_SUMS.values())


class DayState(IntEnum):
    """Whether a day's rows of SUM_TIERS are good: only those of days that are SUMMED are. The trigger of
    0035_day_sums.sql knows that a day with changes is 0.
    """

    CHANGED = 0
    MARKED = 1
    """Is just being summed up; any change makes it CHANGED."""
    SUMMED = 2
    FEW = 3
    """Has so few series that there would not be fewer sums."""


REASONS = Rollup("reasons", ("bounced",), (Tier("bounce_reason_1d", 86400),), key=("reason", "text"))
"""Bounces by normalised reason (ADR 0011). The reasons' sum is the day's bounces."""

CONVERSION_COUNTERS = ("conversions", "revenue")
"""Purchases, and the money that they brought, in the row's currency: exact decimals."""

CONVERSIONS = Rollup(
    "conversions",
    CONVERSION_COUNTERS,
    (Tier("conversion_15m", 900), Tier("conversion_1h", 3600), Tier("conversion_1d", 86400)),
    key=("currency", "text"),
    money=frozenset({"revenue"}),
)
"""Purchases in the bucket of their own time and under the series of the click that they are attributed to; without one
under the series without any dimensions."""

ROLLUPS = (ACTIVITY, CREATED, SENT, LINKS, REASONS, CONVERSIONS)
LEAVING = tuple(tier for rollup in ROLLUPS for tier in rollup.leaving)


def added(counters: Iterable[str]) -> str:
    """SQL: what these counters of a row add up to, whether null or 0 stands for none."""
    return " + ".join(f"coalesce({counter}, 0)" for counter in counters)


TOTAL = 0
"""The series that is the sum of all others, where a tier has it."""

OTHER = "(other)"
"""Every dimension of the series that stands for all combinations beyond a workspace's limit; the URL of the link
that stands for all links beyond it."""


class Series(NamedTuple):
    """A combination of dimensions: its workspace's number, and the columns of `series` in their order.

    Empty text (or no tags) means that a message has none. tags are sorted and distinct, as their order means nothing.
    A registration has the fields of these names (stream/records.py); its from_domain is `domain`.
    """

    workspace: int
    campaign: str = ""
    domain: str = ""
    provider: str = ""
    template: str = ""
    tags: tuple[str, ...] = ()
    mailbox_provider: str = ""


DIMENSIONS = Series._fields[1:]
MESSAGE_DIMENSIONS = (*(name for name in DIMENSIONS if name != "tags"), "tag")
"""What callers group and filter all mail by, in the order in which it is told: each tag of a message for itself."""
ASKED_BY = (*MESSAGE_DIMENSIONS, "link", "currency")
"""These, and what only clicks or only purchases have."""

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
    "anonymous_opens": ("anonymous_opens",),
    "clicks": ("human_clicks",),
    "unique_clicks": ("unique_clicks",),
    "machine_clicks": ("machine_clicks",),
    "anonymous_clicks": ("anonymous_clicks",),
    "trackable": ("trackable",),
    "replies": ("replies",),
    "unique_replies": ("unique_replies",),
    "received": ("received",),
    "spam": ("spam",),
    "size_bytes": ("size_bytes",),
    "conversions": ("conversions",),
    "revenue": ("revenue",),
}
"""Metric: the counters it is the sum of. Opens and clicks leave machine ones out (semantics.md)."""
