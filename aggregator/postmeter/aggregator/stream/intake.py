"""A flush's records, by their kinds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from postmeter.aggregator.stream.batches import Rejected
from postmeter.shared.stream.records import (
    CampaignChange,
    Consent,
    CustomEvent,
    Event,
    Hit,
    Purchase,
    Record,
    Registration,
    WaitingEvent,
    WaitingHit,
)


@dataclass
class Intake:
    """Records to be counted, those that have waited among them, and what cannot be counted."""

    hits: list[Hit] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    registrations: list[Registration] = field(default_factory=list)
    campaigns: list[CampaignChange] = field(default_factory=list)
    purchases: list[Purchase] = field(default_factory=list)
    custom: list[CustomEvent] = field(default_factory=list)
    consents: list[Consent] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    def add(self, found: Sequence[Record]) -> Intake:
        """These come too. Returns itself."""
        lists: dict[type, list[Any]] = {
            Hit: self.hits,
            WaitingHit: self.hits,
            Event: self.events,
            WaitingEvent: self.events,
            Registration: self.registrations,
            CampaignChange: self.campaigns,
            Purchase: self.purchases,
            CustomEvent: self.custom,
            Consent: self.consents,
        }
        kinds = set(map(type, found))
        if len(kinds) == 1:
            lists[kinds.pop()].extend(found)
            return self
        for record in found:
            lists[type(record)].append(record)
        return self
