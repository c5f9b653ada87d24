"""Workspaces: campaign analytics, overview, engagement heatmap. The others: deliverability.py, comparison.py."""

from collections import defaultdict
from datetime import datetime
from fractions import Fraction
from typing import Any

from tests.oracle.asking import Asking, Refused, apart, between, totals
from tests.oracle.history import Count, Message
from tests.oracle.numbers import half_up, percent, ratio
from tests.oracle.times import buckets, overridden, quarter, starts, whole_days, zone

# semantics.md, "Unique and total": "Workspaces all: unique".
NAMES = {
    "sent": "sent",
    "delivered": "delivered",
    "bounced": "bounced",
    "opened": "unique_opens",
    "clicked": "unique_clicks",
    "replied": "unique_replies",
    "spam_complaints": "complained",
    "unsubscribes": "unique_unsubscribed",
}
# semantics.md, "Formulas", Workspaces.
RATES = {
    "delivery_rate": ("delivered", "sent"),
    "open_rate": ("opened", "delivered"),
    "click_rate": ("clicked", "delivered"),
    "click_to_open_rate": ("clicked", "opened"),
    "reply_rate": ("replied", "delivered"),
    "bounce_rate": ("bounced", "sent"),
    "spam_rate": ("spam_complaints", "delivered"),
    "unsubscribe_rate": ("unsubscribes", "delivered"),
}
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
# semantics.md, "Time", heatmap.
PERIODS = (("nighttime", 0, 6), ("early_morning", 6, 9), ("office_hours", 9, 17), ("evening", 17, 24))


def own(asking: Asking, workspace_id: str) -> None:
    """semantics.md: "Another tenant's workspace in a Workspaces path is answered like one that does not exist.\""""
    if workspace_id != asking.workspace.id:
        raise Refused(404, "WORKSPACE_NOT_FOUND")


def known_campaign(asking: Asking, campaign: str) -> str:
    """The campaign's name. Workspaces, "Campaign Not Found"."""
    if campaign not in asking.campaigns():
        raise Refused(404, "CAMPAIGN_NOT_FOUND")
    return asking.campaigns()[campaign]


def window(
    asking: Asking, time_range: str | None = None, start: str | None = None, end: str | None = None
) -> tuple[datetime, datetime, dict[str, str]]:
    """semantics.md, "Time": N whole UTC days; dates without `timeRange` mean `custom`; one date alone: the other
    is its default.
    """
    period = time_range or ("custom" if start or end else "30d")
    days = whole_days(asking.now, 30 if period == "custom" else int(period[:-1]))
    found = overridden(*days, *((start, end) if period == "custom" else (None, None)))
    if found is None:
        raise Refused(400, "INVALID_TIME_RANGE")
    since, until, first, last = found
    return since, until, {"start": first, "end": last, "period": period}


def shown(counts: list[Count]) -> dict[str, int]:
    whole = totals(counts)
    return {name: whole[metric] for name, metric in NAMES.items()}


def rate(of: dict[str, int], name: str) -> Fraction:
    part, base = RATES[name]
    return ratio(of[part], of[base])


def campaign_analytics(
    asking: Asking,
    campaign: str,
    time_range: str | None = None,
    start: str | None = None,
    end: str | None = None,
    group_by: str = "day",
) -> dict[str, Any]:
    """Workspaces, "Get Campaign Analytics"."""
    since, until, echo = window(asking, time_range, start, end)
    name = known_campaign(asking, campaign)
    counts = [count for count in between(asking.counts(), since, until) if count.place.campaign == campaign]
    whole = shown(counts)
    mails = ("sent", "delivered", "bounced", "opened", "clicked", "replied")
    summary = {f"emails_{one}": whole[one] for one in mails}
    summary |= {one: whole[one] for one in ("spam_complaints", "unsubscribes")}
    of = buckets(since, until, group_by)
    series = []
    by_bucket = apart(counts, lambda count: of[quarter(count.at)])
    for bucket in starts(since, until, group_by):
        inside = shown(by_bucket[bucket])
        fields = ("sent", "delivered", "opened", "clicked", "replied", "bounced", "spam_complaints")
        series.append({"date": bucket.date().isoformat(), **{one: inside[one] for one in fields}})
    return {
        "success": True,
        "data": {
            "campaign_id": campaign,
            "campaign_name": name,
            "time_range": echo,
            "summary": summary,
            "rates": {one: half_up(100 * rate(whole, one), 2) for one in RATES},
            "time_series": series,
        },
    }


def overview(
    asking: Asking, time_range: str | None = None, start: str | None = None, end: str | None = None
) -> dict[str, Any]:
    """Workspaces, "Get Workspace Analytics Overview"; semantics.md: active campaigns are those "that sent in the
    window"; the five best "by open_rate, then reply_rate, then id".
    """
    since, until, echo = window(asking, time_range, start, end)
    counts = between(asking.counts(), since, until)
    whole = shown(counts)
    of_campaign = apart(counts, lambda count: count.place.campaign)
    campaigns = asking.campaigns()
    active = {one: shown(of_campaign[one]) for one in campaigns if shown(of_campaign[one])["sent"]}
    best = sorted(active, key=lambda one: (-rate(active[one], "open_rate"), -rate(active[one], "reply_rate"), one))
    summary = {"total_campaigns": len(campaigns), "active_campaigns": len(active)}
    summary |= {f"emails_{one}": whole[one] for one in ("sent", "delivered", "opened", "clicked", "replied")}
    top = [
        {
            "campaign_id": one,
            "campaign_name": campaigns[one],
            **{name: half_up(100 * rate(active[one], name), 2) for name in ("open_rate", "reply_rate")},
        }
        for one in best[:5]
    ]
    rates = ("delivery_rate", "open_rate", "click_rate", "reply_rate")
    return {
        "success": True,
        "data": {
            "workspace_id": asking.workspace.id,
            "time_range": echo,
            "summary": summary,
            "rates": {one: half_up(100 * rate(whole, one), 2) for one in rates},
            "top_campaigns": top,
        },
    }


class Sent:
    """Messages that were sent in one cell of the week, and what became of them until now (cohort counting)."""

    def __init__(self, messages: list[Message]) -> None:
        kinds = [kind.name for message in messages for kind in message.first]
        self.mailed = len(messages)
        self.opened, self.clicked, self.replied = (kinds.count(name) for name in ("OPENED", "CLICKED", "REPLIED"))

    @property
    def score(self) -> Fraction:
        """semantics.md, "Formulas": (opens x 0.3 + clicks x 0.4 + replies x 0.3) / sent x 100, on uniques."""
        return 100 * ratio(3 * self.opened + 4 * self.clicked + 3 * self.replied, 10 * self.mailed)


def heatmap(
    asking: Asking, time_range: str = "30d", campaign: str | None = None, timezone: str | None = None
) -> dict[str, Any]:
    """Workspaces, "Get Engagement Heatmap"; semantics.md, "Time", heatmap."""
    since, until = whole_days(asking.now, int(time_range[:-1]))
    if campaign is not None:
        known_campaign(asking, campaign)
    name = timezone or asking.workspace.timezone
    hours: defaultdict[tuple[int, int], list[Message]] = defaultdict(list)
    for message in asking.messages():
        inside = message.sent is not None and since <= message.sent < until
        if inside and campaign in (None, message.place.campaign):
            assert message.sent is not None
            there = message.sent.astimezone(zone(name))
            hours[there.weekday(), there.hour].append(message)
    cells = []
    for day, weekday in enumerate(WEEKDAYS):
        for period, first, end in PERIODS:
            cell = Sent([message for hour in range(first, end) for message in hours[day, hour]])
            cells.append(
                {
                    "day_of_week": weekday,
                    "time_period": period,
                    "emails_sent": cell.mailed,
                    "emails_opened": cell.opened,
                    "open_rate": percent(cell.opened, cell.mailed),
                    "engagement_score": half_up(cell.score, 2),
                }
            )
    best = optimal({place: Sent(messages) for place, messages in hours.items() if messages})
    data = {"workspace_id": asking.workspace.id, "timezone": name, "optimal_send_time": best, "heatmap": cells}
    return {"success": True, "data": data | {"hours": hours_with_mail(hours)}}


def hours_with_mail(hours: dict[tuple[int, int], list[Message]]) -> list[dict[str, Any]]:
    """Our addition: each hour of the week that mail was sent in, and whether it holds at least 1 % of it."""
    whole = sum(len(messages) for messages in hours.values())
    return [
        {
            "day_of_week": WEEKDAYS[day],
            "hour": hour,
            "emails_sent": sent.mailed,
            "emails_opened": sent.opened,
            "emails_clicked": sent.clicked,
            "emails_replied": sent.replied,
            "open_rate": percent(sent.opened, sent.mailed),
            "engagement_score": half_up(sent.score, 2),
            "compared": 100 * sent.mailed >= whole,
        }
        for (day, hour), sent in sorted((place, Sent(messages)) for place, messages in hours.items() if messages)
    ]


def optimal(hours: dict[tuple[int, int], Sent]) -> dict[str, Any] | None:
    """semantics.md: "the best hour of the week by score among hours that hold at least 1 % of the window's mail".
    Equally good ones: the one with more mail, then the earlier in the week.
    """
    whole = sum(sent.mailed for sent in hours.values())
    fit = [place for place, sent in hours.items() if 100 * sent.mailed >= whole]
    if not fit:
        return None
    day, hour = min(fit, key=lambda place: (-hours[place].score, -hours[place].mailed, place))
    score = half_up(hours[day, hour].score, 2)
    return {"day_of_week": WEEKDAYS[day], "hour": hour, "engagement_score": score}
