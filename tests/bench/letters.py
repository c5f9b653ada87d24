"""A made-up letter and what is done with it; the clock's units; what every kind of recipient shares."""

import random
from typing import NamedTuple

from postmeter.shared.stream.events import Mark

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
HIDDEN = -1
"""The number of the link that no person sees."""


class Act(NamedTuple):
    """An open (`link` is None) or a click. `truth`: human, proxy or machine; `who`: a row of the report.

    mark: HEAD for a HEAD, which no report counts; HONEYPOT for a visit of the link HIDDEN.
    """

    at: int
    message: int
    link: int | None
    agent: str
    ip: str
    prefetch: bool
    truth: str
    who: str
    mark: Mark = Mark.NONE


class Letter(NamedTuple):
    """A delivered message: its number, the time of its delivery and how many links it has.

    honeypot: it carries a hidden link too. told: its opens and clicks come from its provider's webhooks, for it has
    none of our links. lag: how much later than what they tell its provider's webhooks arrive, in microseconds.
    """

    number: int
    delivered: int
    links: int
    honeypot: bool = False
    told: bool = False
    lag: int = 0


class Reception:
    """What every kind of recipient of one letter shares."""

    def __init__(self, noise: random.Random, letter: Letter) -> None:
        self._noise = noise
        self._letter = letter

    def _act(
        self,
        who: str,
        truth: str,
        at: int,
        link: int | None,
        agent: str,
        ip: str,
        *,
        prefetch: bool = False,
        mark: Mark = Mark.NONE,
    ) -> Act:
        mark = Mark.HONEYPOT if link == HIDDEN else mark
        return Act(at, self._letter.number, link, agent, ip, prefetch, truth, who, mark)

    def _address(self, networks: list[str]) -> str:
        parts = self._noise.choice(networks).split(".")
        return ".".join(parts + [str(self._noise.randrange(1, 255)) for _ in range(4 - len(parts))])

    def _read_at(self) -> int:
        """When people look: half of them within an hour and a half, a few at once."""
        return self._letter.delivered + int(min(self._noise.lognormvariate(8.6, 1.5), 20 * 3600) * SECOND) + 5 * SECOND
