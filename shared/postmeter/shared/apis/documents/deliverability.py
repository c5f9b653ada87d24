"""Workspaces, deliverability: the shapes of its answer."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from postmeter.shared.apis.endpoint import Day, Timestamp


class Window(Struct):
    """A window, both ends included."""

    start: Timestamp
    end: Timestamp


class OverallDeliverability(Struct):
    """Rates in percent; health_score from 0 to 100."""

    estimated_inbox_placement_rate: Decimal
    spam_rate: Decimal
    bounce_rate: Decimal
    health_score: int


class BounceReason(Struct):
    """A normalised reason; percentage of all bounces, one decimal."""

    reason: str
    count: int
    percentage: Decimal


class BounceAnalysis(Struct):
    """Bounces by class and reason."""

    hard_bounces: int
    soft_bounces: int
    hard_bounce_rate: Decimal
    soft_bounce_rate: Decimal
    top_bounce_reasons: list[BounceReason]


class ReputationPoint(Struct):
    """health_score of one day."""

    date: Day
    score: int


class BlacklistStatus(Struct):
    """What the last look-up of the sending IPs in the DNSBL zones found."""

    any_ip_blacklisted: bool
    ips_checked: int
    last_check: Timestamp | None


class HealthPart(Struct):
    """What one kind of trouble takes off the last day's health_score (our addition).

    part: hard_bounces, complaints, unsubscribes, volume. rate: percent that `count` is of `of`; for volume, the percent
    by which `count`, the mail of the seven days, falls short of `of`, that of the seven days before. Up to `none_at`
    it takes nothing, from `full_at` on `weight` points.
    """

    part: str
    count: int
    of: int
    rate: Decimal
    none_at: Decimal
    full_at: Decimal
    weight: int
    points: Decimal


class SendingIp(Struct):
    """A sending IP, and the DNSBL zones that list it (our addition). last_check: null before the first one."""

    ip: str
    last_check: Timestamp | None
    listed_in: list[str]


class Deliverability(Struct):
    """Deliverability of a workspace. health_parts: empty where nothing was sent in the last seven days."""

    workspace_id: str
    time_range: Window
    overall: OverallDeliverability
    bounce_analysis: BounceAnalysis
    reputation_trend: list[ReputationPoint]
    blacklist_status: BlacklistStatus
    health_parts: list[HealthPart]
    sending_ips: list[SendingIp]


class DeliverabilityAnswer(Struct):
    """GET .../analytics/deliverability."""

    success: bool
    data: Deliverability
