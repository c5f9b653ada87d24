"""The live traffic's own mails: some a minute while somebody is likely to look, a tenth of that afterwards.

What was made up in days happens here in minutes, so that a campaign's mails are opened while one looks on.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime

from postmeter.cli.demo.model import campaigns
from postmeter.cli.demo.model.audience import Person
from postmeter.cli.demo.model.behaviour import Letter
from postmeter.cli.demo.model.campaigns import Campaign
from postmeter.cli.demo.model.history import Mail, mail
from postmeter.cli.demo.model.moments import MINUTE, SECOND

LIVELY = 20 * MINUTE
"""How long after its start the traffic is lively."""
CALM = 10
"""How much less there is afterwards."""
HURRY = 60
"""How many times faster than in life things happen."""
LETTERS_EVERY, FLASH_EVERY = 2500, 4 * MINUTE
"""Between two mails of flows, and between two small campaigns, while it is lively."""
FLASH_SIZE = 60
"""Mails of a small campaign."""


class Live:
    """Makes mails as time goes by."""

    def __init__(self, started: int, people: list[Person], noise: random.Random) -> None:
        self._started = started
        self._people = people
        self._noise = noise
        self._next_letter = started + SECOND
        self._next_flash = started + 20 * SECOND
        self._flashes = 0

    def begun(self, until: int) -> Iterator[Mail]:
        """The mails that go out until then, and have not been asked for before."""
        while self._next_letter <= until:
            yield self._mail(self._noise.choice(campaigns.FLOWS).campaign, self._next_letter)
            self._next_letter += round(self._noise.expovariate(1 / self._pause(LETTERS_EVERY, self._next_letter))) + 1
        while self._next_flash <= until:
            yield from self._flash(self._next_flash)
            self._next_flash += self._pause(FLASH_EVERY, self._next_flash)

    def _flash(self, at: int) -> Iterator[Mail]:
        minute = datetime.fromtimestamp(at / SECOND, UTC).strftime("%Y-%m-%d-%H%M")
        campaign = campaigns.flash(self._flashes, minute)
        self._flashes += 1
        for place in range(FLASH_SIZE):
            yield self._mail(campaign, at + 50 * place)

    def _pause(self, lively: int, at: int) -> int:
        return lively if at - self._started < LIVELY else lively * CALM

    def _mail(self, campaign: Campaign, at: int) -> Mail:
        made = mail(self._noise, Letter(self._noise.choice(self._people), campaign, at))
        return made._replace(
            events=[(key, event._replace(at=_hurried(at, event.at))) for key, event in made.events],
            purchases=[(order, bought._replace(at=_hurried(at, bought.at))) for order, bought in made.purchases],
        )


def _hurried(created: int, at: int) -> int:
    return created + max(SECOND // 10, (at - created) // HURRY)
