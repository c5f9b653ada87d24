"""Workspaces: deliverability: bounces, health score, reputation, blocklists."""

from collections import Counter
from datetime import datetime
from fractions import Fraction
from ipaddress import IPv4Address
from typing import Any

from postmeter.aggregator import bounces
from postmeter.shared.stream.events import BounceType
from tests.oracle.asking import Asking, Refused, between
from tests.oracle.history import Count
from tests.oracle.numbers import half_up, percent, ratio
from tests.oracle.times import DAY, SECOND, stamp, whole_days
from tests.oracle.workspaces import known_campaign

TOP_REASONS = 5
WEEK = 7 * DAY


def deliverability(
    asking: Asking, time_range: str = "30d", campaign: str | None = None, domain_id: str | None = None
) -> dict[str, Any]:
    """Workspaces, "Get Deliverability Analytics"; semantics.md, "Formulas": every rate is x / sent."""
    start, end = whole_days(asking.now, int(time_range[:-1]))
    if campaign is not None:
        known_campaign(asking, campaign)
    name = None
    if domain_id is not None:
        name = next((domain.name for domain in asking.domains() if domain.id == domain_id), None)
        if name is None:
            raise Refused(404, "DOMAIN_NOT_FOUND") if asking.confined is None else Refused(403, "FORBIDDEN")
    counts = [
        count
        for count in asking.counts()
        if campaign in (None, count.place.campaign) and name in (None, count.place.domain)
    ]
    inside = between(counts, start, end)
    whole = summed(inside)
    sent, hard, soft = whole["sent"], whole["hard_bounced"], whole["soft_bounced"]
    days = [start + n * DAY for n in range((end - start).days)]
    scores = [health_score(counts, day) for day in days]
    return {
        "success": True,
        "data": {
            "workspace_id": asking.workspace.id,
            "time_range": {"start": stamp(start), "end": stamp(end - SECOND)},
            "overall": {
                "estimated_inbox_placement_rate": percent(sent - hard - soft - whole["complained"], sent),
                "spam_rate": percent(whole["complained"], sent),
                "bounce_rate": percent(hard + soft, sent),
                "health_score": scores[-1],
            },
            "bounce_analysis": {
                "hard_bounces": hard,
                "soft_bounces": soft,
                "hard_bounce_rate": percent(hard, sent),
                "soft_bounce_rate": percent(soft, sent),
                "top_bounce_reasons": top_reasons(inside),
            },
            "reputation_trend": [
                {"date": day.date().isoformat(), "score": score} for day, score in zip(days, scores, strict=True)
            ],
            "blacklist_status": blacklist_status(asking),
            "health_parts": health_parts(counts, days[-1]),
            "sending_ips": sending_ips(asking),
        },
    }


def summed(counts: list[Count]) -> "Counter[str]":
    found: Counter[str] = Counter()
    for count in counts:
        found[count.metric] += count.amount
    return found


def penalty(value: Fraction, none: Fraction, full: Fraction) -> Fraction:
    """Rises "linearly from 0 to 100" between the two."""
    return 100 * min(max((value - none) / (full - none), Fraction(0)), Fraction(1))


LIMITS = {
    "hard_bounces": (Fraction(2, 100), Fraction(10, 100), 35),
    "complaints": (Fraction(1, 1000), Fraction(5, 1000), 35),
    "unsubscribes": (Fraction(1, 100), Fraction(5, 100), 15),
    "volume": (Fraction(50, 100), Fraction(1), 15),
}
"""semantics.md, "health_score (Workspaces)": from where a penalty rises, to where, and its weight in percent."""


def troubles(counts: list[Count], day: datetime) -> dict[str, tuple[int, int, Fraction]]:
    """What is held against LIMITS in the trailing 7 days, of which `day` is the last: counts and their rate."""
    week = summed(between(counts, day + DAY - WEEK, day + DAY))
    before = summed(between(counts, day + DAY - 2 * WEEK, day + DAY - WEEK))["sent"]
    if not week["sent"]:
        return {}
    shares = {
        "hard_bounces": (week["hard_bounced"], week["sent"]),
        "complaints": (week["complained"], week["delivered"]),
        "unsubscribes": (week["unique_unsubscribed"], week["delivered"]),
    }
    found = {name: (part, whole, ratio(part, whole)) for name, (part, whole) in shares.items()}
    drop = max(ratio(before - week["sent"], before), Fraction(0))
    return found | {"volume": (week["sent"], before, drop)}


def points(name: str, rate: Fraction) -> Fraction:
    none, full, weight = LIMITS[name]
    return penalty(rate, none, full) * weight / 100


def health_score(counts: list[Count], day: datetime) -> int:
    """Of `day`. "No mail sent: 100.\""""
    lost = [points(name, rate) for name, (_, _, rate) in troubles(counts, day).items()]
    return int(half_up(100 - sum(lost, Fraction(0)), 0))


def health_parts(counts: list[Count], day: datetime) -> list[dict[str, Any]]:
    """Our addition: what each penalty takes off."""
    return [
        {
            "part": name,
            "count": part,
            "of": whole,
            "rate": half_up(100 * rate, 2),
            "none_at": half_up(100 * LIMITS[name][0], 2),
            "full_at": half_up(100 * LIMITS[name][1], 2),
            "weight": LIMITS[name][2],
            "points": half_up(points(name, rate), 2),
        }
        for name, (part, whole, rate) in troubles(counts, day).items()
    ]


def top_reasons(counts: list[Count]) -> list[dict[str, Any]]:
    """The most frequent reasons, under their normalised names; percentage of all bounces, one decimal."""
    reasons: Counter[str] = Counter()
    for count in counts:
        if count.reason is not None:
            kind = BounceType.HARD if count.metric == "hard_bounced" else BounceType.SOFT
            reasons[normalised(count.reason, kind)] += count.amount
    all_bounces = sum(reasons.values())
    best = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))[:TOP_REASONS]
    return [{"reason": name, "count": n, "percentage": percent(n, all_bounces, 1)} for name, n in best]


def normalised(reason: str, kind: BounceType) -> str:
    """The normaliser is judged by its own tests."""
    return str(bounces.normalise(reason, kind))


def blacklist_status(asking: Asking) -> dict[str, Any]:
    """semantics.md, "blacklist_status (Workspaces)": before any check `ips_checked` is 0 and `last_check` null."""
    checked = [ip.checked for ip in asking.workspace.ips if ip.checked is not None]
    return {
        "any_ip_blacklisted": any(ip.listed for ip in asking.workspace.ips if ip.checked is not None),
        "ips_checked": len(checked),
        "last_check": stamp(max(checked)) if checked else None,
    }


def sending_ips(asking: Asking) -> list[dict[str, Any]]:
    """Our addition: each IP, the listed ones first; none for a key that is confined to domains."""
    if asking.confined is not None:
        return []
    ips = sorted(asking.workspace.ips, key=lambda ip: (not ip.listed, IPv4Address(ip.address)))
    return [
        {"ip": ip.address, "last_check": stamp(ip.checked) if ip.checked else None, "listed_in": list(ip.listed)}
        for ip in ips
    ]
