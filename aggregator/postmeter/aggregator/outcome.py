"""What a flush has done, reported once it is committed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from postmeter.aggregator.conversions.contacts import Stored
from postmeter.aggregator.live.onlookers import Shown
from postmeter.aggregator.stream.intake import Intake
from postmeter.aggregator.unregistered.waiting import Place
from postmeter.shared.privacy.levels import Level
from postmeter.shared.stream import source_log
from postmeter.shared.stream.live_totals import LiveTotals


@dataclass
class Outcome:
    """What a committed flush did. hits, events, registrations, campaigns, consents: records that were fresh.

    made: messages that nobody had registered. adopted: those of them that somebody has registered since.
    judged: clicks of which their company changed the verdict, by reason. withheld: opens and clicks of which nothing
    may be kept, by level. sweep_behind: where a sweep goes on; None: it
    has seen all. unclear: by webhooks' source, events that nobody can tell whose they are. shown: events for those who
    look on.
    """

    live: dict[int, LiveTotals] = field(default_factory=dict)
    hits: int = 0
    events: int = 0
    registrations: int = 0
    campaigns: int = 0
    consents: int = 0
    made: int = 0
    adopted: int = 0
    judged: Counter[str] = field(default_factory=Counter)
    withheld: Counter[Level] = field(default_factory=Counter)
    contacts: Stored = field(default_factory=Stored)
    dead_letters: int = 0
    sweep_behind: Place | None = None
    unclear: dict[str, list[source_log.Unread]] = field(default_factory=dict)
    shown: Shown = field(default_factory=dict)

    @classmethod
    def of(cls, found: Intake) -> Outcome:
        """With the numbers of these records."""
        return cls(
            hits=len(found.hits),
            events=len(found.events),
            registrations=len(found.registrations),
            campaigns=len(found.campaigns),
            consents=len(found.consents),
        )
