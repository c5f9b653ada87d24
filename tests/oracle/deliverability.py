"""D3: deliverability: bounces, health score, reputation, blocklists."""

from collections import Counter
from datetime import datetime
from fractions import Fraction
from typing import Any

from postmeter.shared import bounces
from postmeter.shared.events import BounceType
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
    """Document D3, "Get Deliverability Analytics"; SEMANTICS.md, "Formulas": every rate is x / sent."""
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


def health_score(counts: list[Count], day: datetime) -> int:
    """SEMANTICS.md, "health_score (D3)": the trailing 7 days, of which `day` is the last."""
    week = summed(between(counts, day + DAY - WEEK, day + DAY))
    before = summed(between(counts, day + DAY - 2 * WEEK, day + DAY - WEEK))
    if not week["sent"]:
        return 100
    drop = Fraction(before["sent"] - week["sent"], before["sent"]) if before["sent"] else Fraction(0)
    bounce = penalty(ratio(week["hard_bounced"], week["sent"]), Fraction(2, 100), Fraction(10, 100))
    complaint = penalty(ratio(week["complained"], week["delivered"]), Fraction(1, 1000), Fraction(5, 1000))
    gone = penalty(ratio(week["unique_unsubscribed"], week["delivered"]), Fraction(1, 100), Fraction(5, 100))
    volume = penalty(drop, Fraction(50, 100), Fraction(1))
    score = 100 - (35 * bounce + 35 * complaint + 15 * gone + 15 * volume) / 100
    return int(half_up(score, 0))


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
    """SEMANTICS.md, "blacklist_status (D3)": before the first check `ips_checked` is 0 and `last_check` null."""
    checked = [ip.checked for ip in asking.workspace.ips if ip.checked is not None]
    return {
        "any_ip_blacklisted": any(ip.listed for ip in asking.workspace.ips if ip.checked is not None),
        "ips_checked": len(checked),
        "last_check": stamp(max(checked)) if checked else None,
    }
