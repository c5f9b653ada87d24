"""Vectis: GET /api/v1/analytics and /api/v1/tracking/stats."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.oracle.asking import Asking, Refused, apart, between, totals
from tests.oracle.numbers import percent
from tests.oracle.times import DAY, QUARTER, buckets, midnight, quarter, stamp, starts

HOUR = timedelta(hours=1)
FIELDS = ("sent", "received", "bounced", "spam", "failed", "size_bytes")


def window(now: datetime, period: str) -> tuple[datetime, datetime]:
    """semantics.md, "Time", Vectis: "whole buckets up to and including the present one"."""
    match period:
        case "1h":
            return quarter(now) - 3 * QUARTER, quarter(now) + QUARTER
        case "24h":
            hour = now.replace(minute=0, second=0, microsecond=0)
            return hour - 23 * HOUR, hour + HOUR
        case "7d" | "30d":
            days = 7 if period == "7d" else 30
            return midnight(now.date()) - (days - 1) * DAY, midnight(now.date()) + DAY
    raise Refused(400, "INVALID_PERIOD")


def fields(counts: "Counter[str]") -> dict[str, int]:
    return {name: counts[name] for name in FIELDS}


def analytics(
    asking: Asking, period: str = "24h", granularity: str = "hourly", domain_id: str | None = None
) -> dict[str, Any]:
    """Vectis, "Get analytics"."""
    start, end = window(asking.now, period)
    counts = between(asking.counts(), start, end)
    if domain_id is None:
        return all_domains(asking, period, counts)
    if granularity not in ("hourly", "daily"):
        raise Refused(400, "INVALID_GRANULARITY")
    name = next((domain.name for domain in asking.domains() if domain.id == domain_id), None)
    if name is None:
        # semantics.md, "Who may read": "another domain in Vectis: 403 `FORBIDDEN`".
        raise Refused(404, "NOT_FOUND") if asking.confined is None else Refused(403, "FORBIDDEN")
    counts = [count for count in counts if count.place.domain == name]
    unit = "hour" if granularity == "hourly" else "day"
    of = buckets(start, end, unit)
    stats = []
    inside = apart(counts, lambda count: of[quarter(count.at)])
    for bucket in starts(start, end, unit):
        label = {"timestamp": stamp(bucket)} if unit == "hour" else {"date": bucket.date().isoformat()}
        stats.append({**label, **fields(totals(inside[bucket]))})
    return {"data": {"domain_id": domain_id, "period": period, "granularity": granularity, "stats": stats}}


def all_domains(asking: Asking, period: str, counts: Any) -> dict[str, Any]:
    """Vectis, "All-domain aggregate"; semantics.md, "Formulas", Vectis."""
    whole = totals(counts)
    rates = {
        "bounce_rate": percent(whole["bounced"], whole["sent"]),
        "spam_rate": percent(whole["spam"], whole["received"]),
    }
    domains = []
    for domain in asking.domains():
        inside = totals(count for count in counts if count.place.domain == domain.name)
        domains.append({"domain_id": domain.id, "domain_name": domain.name, **fields(inside)})
    return {"data": {"period": period, "totals": {**fields(whole), **rates}, "domains": domains}}


def tracking_stats(asking: Asking) -> dict[str, Any]:
    """semantics.md, "Small decisions": counted since the workspace began."""
    if asking.role not in ("admin", "super_admin"):
        raise Refused(403, "FORBIDDEN")
    whole = totals(asking.counts())
    names = ("opens", "unique_opens", "clicks", "unique_clicks", "machine_opens", "machine_clicks")
    since = stamp(asking.workspace.created.astimezone(UTC))
    return {"data": {**{name: whole[name] for name in names}, "since": since}}
