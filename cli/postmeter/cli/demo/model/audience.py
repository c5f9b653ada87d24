"""Who mail goes to: people with their lists, mailboxes and habits, drawn one by one from the seed."""

from __future__ import annotations

import random
from typing import NamedTuple

from postmeter.cli.demo.model import mailboxes
from postmeter.cli.demo.model.calendar import DAYS, Calendar
from postmeter.cli.demo.model.campaigns import CAFES, CUSTOMERS, DORMANT, READERS
from postmeter.cli.demo.model.clients import address_of, client_of

UNSUBSCRIBE, COMPLAIN, BOUNCE = "unsubscribe", "complain", "bounce"
"""How somebody leaves."""
_LEAVING = {UNSUBSCRIBE: 0.66, COMPLAIN: 0.12, BOUNCE: 0.22}
FIRST = 0.6
"""How many of all people were on the lists before the history began; the others joined evenly during it."""
_STAY = 800.0
"""Days that people stay on the lists, on average."""
_MISTYPED = 0.02
"""How many addresses of newly joined people are wrong."""
DORMANTS = 0.55
"""Addresses of the neglected list, as a share of all people."""
_DORMANT = ((BOUNCE, 0.13), (COMPLAIN, 0.07), (UNSUBSCRIBE, 0.011))
"""How people of the neglected list leave, and how many."""
_CAFES = 0.13
_HABITS = {
    "early": (0.16, (6.6, 20.2)),
    "commuter": (0.24, (7.8, 12.6, 18.1)),
    "office": (0.26, (9.2, 11.3, 14.8)),
    "evening": (0.26, (12.8, 19.6, 21.7)),
    "night": (0.08, (14.5, 23.2)),
}
"""The share of people of a habit, and the hours around which they read."""


class Person(NamedTuple):
    """Somebody on a list. reads: how likely a mail is read; clicks: how likely one that is read is clicked; hours:
    when, by their own clock; weekends: how much of that at weekends. leaves: the day from which on the next mail of a
    list is the last; leaving: how."""

    address: str
    ref: str
    provider: str
    zone: str
    lists: frozenset[str]
    joined: int
    leaves: int
    leaving: str
    reads: float
    clicks: float
    hours: tuple[float, ...]
    weekends: float
    client: str
    ip: str
    scanner: str
    american: bool


class Audience:
    """All people, as many as are needed: after the history more join as they did before."""

    def __init__(self, seed: int, people: int, calendar: Calendar) -> None:
        self._seed = seed
        self.size = people
        self._calendar = calendar
        self._people: list[Person] = []
        self._dormant = [self._forgotten(number) for number in range(round(people * DORMANTS))]

    def joined_by(self, day: int) -> int:
        """How many people have joined by the end of a day, whether they left since or not."""
        return round(self.size * (FIRST + (1 - FIRST) * (day + 1) / DAYS))

    def everybody(self, day: int) -> list[Person]:
        """Those of them, in the order in which they came."""
        wanted = self.joined_by(day)
        while len(self._people) < wanted:
            self._people.append(self._drawn(len(self._people)))
        return self._people[:wanted]

    def of(self, audience: str, day: int) -> list[tuple[Person, bool]]:
        """Whom what is sent to a list on a day goes to, and whether it is the last mail before they leave."""
        if audience == DORMANT:
            return [(person, bool(person.leaving)) for person in self._dormant]
        before = self._calendar.before(audience, day)
        return [
            (person, person.leaves <= day)
            for person in self.everybody(day)
            if audience in person.lists and person.leaves > before
        ]

    def _drawn(self, number: int) -> Person:
        noise = random.Random(f"{self._seed}/person/{number}")
        joined = self._joined(number)
        cafe = noise.random() < _CAFES
        lists = {CAFES} if cafe else set()
        lists |= {name for name, share in ((CUSTOMERS, 0.62), (READERS, 0.66)) if noise.random() < share}
        leaves = max(joined, 0) + round(noise.expovariate(1 / _STAY))
        leaving = noise.choices(list(_LEAVING), list(_LEAVING.values()))[0]
        if joined >= 0 and noise.random() < _MISTYPED:
            leaves, leaving = joined, BOUNCE
        return self._person(noise, f"C-{104_000 + number}", lists or {READERS}, joined, leaves, leaving, cafe)

    def _joined(self, number: int) -> int:
        """The day on which the number-th person joined; -1: before the history."""
        first = round(self.size * FIRST)
        return -1 if number < first else int((number - first) * DAYS / max(1, self.size - first))

    def _forgotten(self, number: int) -> Person:
        """Somebody of the neglected list. Wrong addresses and complaints are spread evenly, so that few show them."""
        noise = random.Random(f"{self._seed}/dormant/{number}")
        leaving = next((how for how, share in _DORMANT if _each(number, share)), "")
        return self._person(noise, f"A-{20_000 + number}", {DORMANT}, -1, 0, leaving, False)

    def _person(
        self, noise: random.Random, ref: str, lists: set[str], joined: int, leaves: int, leaving: str, cafe: bool
    ) -> Person:
        if cafe:
            company = noise.choice(mailboxes.COMPANIES)
            domain, provider, zone, scanner = company
        else:
            mailbox = noise.choices(mailboxes.PRIVATE, [each.share for each in mailboxes.PRIVATE])[0]
            domain, provider, scanner = mailbox.domain, mailbox.provider, ""
            zone = noise.choices([name for name, _ in mailbox.zones], [share for _, share in mailbox.zones])[0]
        habits = list(_HABITS.values())
        habit = noise.choices(habits, [share for share, _ in habits])[0]
        return Person(
            address=f"{ref.lower()}@{domain}",
            ref=ref,
            provider=provider,
            zone=zone,
            lists=frozenset(lists),
            joined=joined,
            leaves=leaves,
            leaving=leaving,
            reads=noise.betavariate(1.5, 2.9),
            clicks=noise.betavariate(1.2, 8.0),
            hours=habit[1],
            weekends=0.35 if cafe else noise.uniform(0.6, 1.1),
            client=client_of(noise, provider),
            ip=address_of(noise),
            scanner=scanner,
            american=zone.startswith("America/"),
        )


def _each(number: int, share: float) -> bool:
    """True for that share of all numbers, evenly spread."""
    return int((number + 1) * share) > int(number * share)
