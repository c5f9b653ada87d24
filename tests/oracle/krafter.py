"""Krafter: messages by the time of their creation, under their present state."""

from collections import Counter
from datetime import timedelta
from typing import Any

from postmeter.shared.stream.events import State
from tests.oracle.asking import Asking, Refused
from tests.oracle.times import DAY, midnight, stamp

# semantics.md: "Krafter shows `sending` under `queued`."; states exclude each other.
STATUS = {
    State.QUEUED: "queued",
    State.SENDING: "queued",
    State.SENT: "sent",
    State.SOFT_BOUNCED: "bounced",
    State.HARD_BOUNCED: "bounced",
    State.DELIVERED: "delivered",
    State.COMPLAINED: "complained",
    State.FAILED: "failed",
}
ORDER = ("queued", "sent", "delivered", "bounced", "complained", "failed")


def stats(asking: Asking, period: str = "7d") -> dict[str, Any]:
    """semantics.md, "Time": "`since` = now minus N x 24 h, to the second, exact"; a bad period falls back to 7d."""
    days = {"1d": 1, "7d": 7, "30d": 30, "90d": 90}
    period = period if period in days else "7d"
    now = asking.now.replace(microsecond=0)
    since = now - timedelta(hours=24 * days[period])
    states = Counter(STATUS[m.state] for m in asking.messages() if since <= m.created.replace(microsecond=0) <= now)
    by_status = {name: states[name] for name in ORDER if states[name]}
    total = sum(states.values())
    return {"data": {"period": period, "since": stamp(since), "total": total, "by_status": by_status}}


def daily(asking: Asking, days: str = "30") -> dict[str, Any]:
    """semantics.md, "Time": rows ending today (UTC), capped at 365; not an integer or below 1: a clear 400."""
    if not days.isdigit() or int(days) < 1:
        raise Refused(400, "INVALID_PARAMETER")
    rows = []
    today = midnight(asking.now.date())
    for back in range(min(int(days), 365) - 1, -1, -1):
        day = today - back * DAY
        states = Counter(STATUS[m.state] for m in asking.messages() if day <= m.created < day + DAY)
        rows.append({"date": day.date().isoformat(), **{name: states[name] for name in ORDER}})
    return {"data": rows}
