"""What each type of event does to counters, engagement and state: the rules of semantics.md as data."""

from __future__ import annotations

from dataclasses import dataclass

from postmeter.aggregator.fold.moments import MICROSECONDS
from postmeter.shared.storage.rollups import COUNTERS, TIERS
from postmeter.shared.stream.events import BounceType, Engagement, EventType, State, Verdict

BUCKET = TIERS[0].seconds * MICROSECONDS
"""The finest bucket, in microseconds."""
INDEX = {name: place for place, name in enumerate(COUNTERS)}
"""Where each counter stands in a row of COUNTERS."""


@dataclass(frozen=True)
class Effect:
    """What one event adds to; None: nothing of that sort."""

    counter: int | None = None
    engagement: Engagement | None = None
    state: State | None = None


EFFECTS = {
    (EventType.QUEUED, 0): Effect(),
    (EventType.SENDING, 0): Effect(state=State.SENDING),
    (EventType.SENT, 0): Effect(INDEX["sent"], state=State.SENT),
    (EventType.DEFERRED, 0): Effect(INDEX["deferred"]),
    (EventType.DELIVERED, 0): Effect(INDEX["delivered"], state=State.DELIVERED),
    (EventType.BOUNCED, BounceType.HARD): Effect(INDEX["hard_bounced"], state=State.HARD_BOUNCED),
    (EventType.BOUNCED, BounceType.SOFT): Effect(INDEX["soft_bounced"], state=State.SOFT_BOUNCED),
    (EventType.FAILED, 0): Effect(INDEX["failed"], state=State.FAILED),
    (EventType.COMPLAINED, 0): Effect(INDEX["complained"], state=State.COMPLAINED),
    (EventType.UNSUBSCRIBED, 0): Effect(INDEX["unsubscribed"], Engagement.UNSUBSCRIBE),
    # Opens and clicks are judged first: HIT_COUNTERS and HIT_ENGAGEMENTS say what they add to.
    (EventType.OPENED, 0): Effect(),
    (EventType.CLICKED, 0): Effect(),
    (EventType.REPLIED, 0): Effect(INDEX["replies"], Engagement.REPLY),
    (EventType.RECEIVED, 0): Effect(INDEX["received"]),
    (EventType.UNKNOWN, 0): Effect(),
}
"""By type and, for `bounced`, by bounce type."""

HIT_COUNTERS = {
    (EventType.OPENED, Verdict.HUMAN): INDEX["human_opens"],
    (EventType.OPENED, Verdict.PROXY): INDEX["proxy_opens"],
    (EventType.OPENED, Verdict.MACHINE): INDEX["machine_opens"],
    (EventType.CLICKED, Verdict.HUMAN): INDEX["human_clicks"],
    (EventType.CLICKED, Verdict.MACHINE): INDEX["machine_clicks"],
}
ANONYMOUS = {EventType.OPENED: INDEX["anonymous_opens"], EventType.CLICKED: INDEX["anonymous_clicks"]}
"""Counters of what people and proxies did, beside the ones above, where nobody can tell who it was."""
TRACKABLE = INDEX["trackable"]
HIT_COUNTERS_OF = {
    of: {verdict: counter for (kind, verdict), counter in HIT_COUNTERS.items() if kind is of}
    for of in (EventType.OPENED, EventType.CLICKED)
}
"""The same by type, then by verdict."""
HIT_ENGAGEMENTS = {EventType.OPENED: Engagement.OPEN, EventType.CLICKED: Engagement.CLICK}

UNIQUES = {
    Engagement.OPEN: INDEX["unique_opens"],
    Engagement.CLICK: INDEX["unique_clicks"],
    Engagement.REPLY: INDEX["unique_replies"],
    Engagement.UNSUBSCRIBE: INDEX["unique_unsubscribed"],
}
"""The counter in which a message counts once for its whole life."""
