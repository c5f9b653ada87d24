"""The days of the demo: what was sent on each, what became of it, what came in. A day depends on the seed and its
number alone, not on when it is asked for."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from postmeter.cli.demo.model import behaviour, company
from postmeter.cli.demo.model.audience import Audience, Person
from postmeter.cli.demo.model.behaviour import Event, Letter, Purchase
from postmeter.cli.demo.model.calendar import Calendar
from postmeter.cli.demo.model.campaigns import Campaign
from postmeter.cli.demo.model.moments import DAY, HOUR, MINUTE

BLOCKING = "outlook"
"""The mailbox provider that refuses everything on the bad day."""
_PER_SECOND = 250
"""Mails that go out in a second."""
_DIRECT = 0.0014
"""Purchases a day that no mail has led to, as a share of all people."""
_SPAM = 0.14


class Mail(NamedTuple):
    """A mail with its id and what becomes of it. events: each with its idempotency key."""

    id: uuid.UUID
    letter: Letter
    events: list[tuple[str, Event]]
    purchases: list[tuple[str, Purchase]]


class Received(NamedTuple):
    """A mail that came in."""

    key: str
    at: int
    domain: str
    size: int
    spam: bool


class Day(NamedTuple):
    """All that began on a day. purchases: those that no mail has led to, each with its order."""

    mails: list[Mail]
    received: list[Received]
    purchases: list[tuple[str, Purchase]]


class History:
    """Makes days, by their numbers."""

    def __init__(self, seed: int, calendar: Calendar, audience: Audience) -> None:
        self._seed = seed
        self.calendar = calendar
        self._audience = audience

    def day(self, number: int) -> Day:
        """One day, whole: also what of it is still to come."""
        mails = [*self._sent(number), *self._flowing(number)]
        return Day(mails, list(self._received(number)), list(self._direct(number)))

    def people(self, day: int) -> list[Person]:
        """Who is on the lists on a day."""
        return [person for person in self._audience.everybody(day) if person.leaves > day]

    def _noise(self, what: str, day: int) -> random.Random:
        return random.Random(f"{self._seed}/{what}/{day}")

    def _sent(self, day: int) -> Iterator[Mail]:
        for sending in self.calendar.sendings(day):
            campaign = sending.campaign
            noise = self._noise(campaign.kind.audience, day)
            recipients = self._audience.of(campaign.kind.audience, day)
            noise.shuffle(recipients)
            for place, (person, last) in enumerate(recipients):
                created = sending.at + place * 1000 // _PER_SECOND
                yield mail(noise, Letter(person, campaign, created, last, self._blocked(person, day)))

    def _flowing(self, day: int) -> Iterator[Mail]:
        """Mail that somebody's doing has set off, most of it in the afternoon and evening."""
        noise = self._noise("flows", day)
        people = self.people(day)
        newest = [person for person in people if person.joined == day]
        for flow, share in self.calendar.flows(day):
            fresh = flow.campaign.id == "welcome"
            number = len(newest) if fresh else _about(noise, share * self._audience.joined_by(day))
            chosen = newest if fresh else noise.choices(people, k=number) if people else []
            for person in chosen:
                created = self.calendar.start(day) + _daytime(noise)
                yield mail(noise, Letter(person, flow.campaign, created, False, self._blocked(person, day)))

    def _blocked(self, person: Person, day: int) -> bool:
        return day == self.calendar.bad and person.provider == BLOCKING

    def _received(self, day: int) -> Iterator[Received]:
        noise = self._noise("received", day)
        for sender in company.SENDERS:
            share = sender.inbound * (1.0 if self.calendar.working(day) else 0.4)
            for place in range(_about(noise, share * self._audience.joined_by(day))):
                at = self.calendar.start(day) + _daytime(noise)
                size = min(20_000_000, round(noise.lognormvariate(10.2, 1.3)))
                yield Received(f"in-{sender.domain}-{day}-{place}", at, sender.domain, size, noise.random() < _SPAM)

    def _direct(self, day: int) -> Iterator[tuple[str, Purchase]]:
        noise = self._noise("direct", day)
        people = self._audience.everybody(day)
        for place in range(_about(noise, _DIRECT * len(people))):
            at = self.calendar.start(day) + _daytime(noise)
            yield f"LF-{day}-{place}", behaviour.purchase(noise, noise.choice(people), at)


def mail(noise: random.Random, letter: Letter) -> Mail:
    """A mail and its course. Its id is a UUIDv7 of its moment, its events' keys follow from that."""
    name = (letter.created << 80) | (0x7 << 76) | (noise.getrandbits(12) << 64) | (0b10 << 62) | noise.getrandbits(62)
    made = uuid.UUID(int=name)
    events, purchases = [], []
    for place, found in enumerate(behaviour.course(noise, letter)):
        if isinstance(found, Purchase):
            purchases.append((f"LF-{made.hex[:20]}-{place}", found))
        else:
            events.append((f"{made.hex}-{place}", found))
    return Mail(made, letter, events, purchases)


def campaigns(mails: Iterable[Mail]) -> dict[str, Campaign]:
    """The campaigns of these mails, by their ids."""
    return {mail.letter.campaign.id: mail.letter.campaign for mail in mails}


def _about(noise: random.Random, number: float) -> int:
    """A whole number around `number`: what falls behind its point is left to chance."""
    varied = number * noise.uniform(0.8, 1.2)
    return int(varied) + (noise.random() < varied % 1)


def _daytime(noise: random.Random) -> int:
    """A moment of a day, most likely in the early evening of Europe."""
    at = round(noise.triangular(5, 25, 17) * HOUR) + noise.randrange(MINUTE)
    return at % DAY
