"""Misar: overview and one campaign, in totals."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from tests.oracle.asking import Asking, Refused, apart, between, totals
from tests.oracle.campaigns import first_sent, status
from tests.oracle.numbers import fraction
from tests.oracle.times import buckets, overridden, quarter, stamp, starts, whole_days

HOUR = timedelta(hours=1)
UNITS = ("hour", "day", "week", "month")


def window(
    asking: Asking, period: str, start: str | None, end: str | None
) -> tuple[datetime, datetime, dict[str, str]]:
    """semantics.md, "Time": N whole UTC days up to today, both ends printed; from, to override."""
    if period not in ("7d", "30d", "90d"):
        raise Refused(400, "INVALID_PARAMETER")
    found = overridden(*whole_days(asking.now, int(period[:-1])), start, end)
    if found is None:
        raise Refused(400, "INVALID_TIME_RANGE")
    since, until, first, last = found
    return since, until, {"from": first, "to": last}


def overview(asking: Asking, period: str = "30d", start: str | None = None, end: str | None = None) -> dict[str, Any]:
    """Misar, GET /api/v1/analytics/overview; semantics.md, "Formulas": every rate is x / sends."""
    since, until, echo = window(asking, period, start, end)
    return {"success": True, "period": echo, "metrics": metrics(totals(between(asking.counts(), since, until)))}


def metrics(whole: Mapping[str, int]) -> dict[str, Any]:
    """Misar's names of totals, and its rates."""
    names = {
        "sends": "sent",
        "delivered": "delivered",
        "opens": "opens",
        "unique_opens": "unique_opens",
        "clicks": "clicks",
        "unique_clicks": "unique_clicks",
        "bounces": "bounced",
        "hard_bounces": "hard_bounced",
        "soft_bounces": "soft_bounced",
        "complaints": "complained",
        "unsubscribes": "unsubscribed",
    }
    found: dict[str, Any] = {name: whole[metric] for name, metric in names.items()}
    for rate, part in (("open", "opens"), ("click", "clicks"), ("bounce", "bounces"), ("complaint", "complaints")):
        found[f"{rate}_rate"] = fraction(found[part], found["sends"], 3)
    return found


def client(
    asking: Asking,
    start: str | None = None,
    end: str | None = None,
    campaign: str | None = None,
    group_by: str | None = None,
) -> dict[str, Any]:
    """The published client's one question: the overview of a campaign or of all, and its parts."""
    since, until, echo = window(asking, "30d", start, end)
    if campaign is not None and campaign not in asking.campaigns():
        raise Refused(404, "CAMPAIGN_NOT_FOUND")
    counts = [c for c in between(asking.counts(), since, until) if campaign in (None, c.place.campaign)]
    found = {"success": True, "period": echo, "metrics": metrics(totals(counts))}
    if group_by in UNITS:
        # Like every series, the first and the last bucket may be clipped by the window.
        of = buckets(since, until, group_by)
        inside = apart(counts, lambda count: of[quarter(count.at)])
        found["groups"] = [
            {"group": stamp(bucket), "metrics": metrics(totals(inside[bucket]))}
            for bucket in starts(since, until, group_by)
        ]
    elif group_by is not None:
        names = sorted({getattr(c.place, group_by) for c in counts}, key=str.encode)
        found["groups"] = [
            {"group": name, "metrics": metrics(totals([c for c in counts if getattr(c.place, group_by) == name]))}
            for name in names
        ]
    return found


def campaign(asking: Asking, which: str) -> dict[str, Any]:
    """Misar, GET /api/v1/analytics/campaigns/:id: its whole life, in totals; the timeline by UTC hours."""
    if which not in asking.campaigns():
        raise Refused(404, "CAMPAIGN_NOT_FOUND")
    messages = [message for message in asking.messages() if message.place.campaign == which]
    counts = [count for count in asking.counts() if count.place.campaign == which]
    whole = totals(counts)
    names = {
        "sent": "sent",
        "delivered": "delivered",
        "opened": "opens",
        "clicked": "clicks",
        "bounced": "bounced",
        "complained": "complained",
        "unsubscribed": "unsubscribed",
    }
    # semantics.md: "Misar `total_recipients`: messages registered for the campaign."
    found: dict[str, Any] = {"total_recipients": len(messages)}
    found |= {f"total_{name}": whole[metric] for name, metric in names.items()}
    for rate, part in (("open", "opened"), ("click", "clicked"), ("bounce", "bounced")):
        found[f"{rate}_rate"] = fraction(found[f"total_{part}"], found["total_sent"], 3)
    sent = first_sent(asking, which)
    about: dict[str, Any] = {"id": which, "name": asking.campaigns()[which], "status": status(asking, which)}
    about["sent_at"] = stamp(sent) if sent else None
    timeline = []
    engaged = [count for count in counts if count.metric in ("human_opens", "proxy_opens", "human_clicks")]
    if engaged:
        first, last = (pick(count.at for count in engaged) for pick in (min, max))
        hour = first.replace(minute=0, second=0, microsecond=0)
        while hour <= last:
            inside = totals(between(engaged, hour, hour + HOUR))
            timeline.append({"hour": stamp(hour), "opens": inside["opens"], "clicks": inside["clicks"]})
            hour += HOUR
    return {"success": True, "campaign": about, "metrics": found, "timeline": timeline}
