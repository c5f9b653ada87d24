"""A day of mail as it is met by people, proxies and robots, and who was who.

Written from PEERS of the field and from what vendors and their users publish about clients, proxies and scanners,
not from the rules of Postmeter's own verdicts: it must not know what the classifier looks for. Every share here is an
assumption, not a measurement. A provider tells of no HEAD, of no prefetch header and of no hidden link.
"""

import random
from collections.abc import Callable, Iterator

from postmeter.shared.stream.events import Mark
from tests.bench.letters import HOUR, MINUTE, SECOND, Act, Letter
from tests.bench.scanners import Scanned

Kind = Callable[[Scanned], Iterator[Act]]
KINDS: dict[Kind, float] = {
    Scanned.person: 0.2,
    Scanned.app_reader: 0.01,
    Scanned.apple: 0.2,
    Scanned.gmail: 0.21,
    Scanned.yahoo: 0.06,
    Scanned.browser_prefetch: 0.03,
    Scanned.shared_link: 0.03,
    Scanned.waiting: 0.02,
    Scanned.thorough: 0.01,
    Scanned.forwarded: 0.01,
    Scanned.office_probe: 0.01,
    Scanned.named_scanner: 0.02,
    Scanned.library_scanner: 0.02,
    Scanned.networked_scanner: 0.04,
    Scanned.disguised_scanner: 0.04,
    Scanned.sampling_scanner: 0.02,
    Scanned.heading_scanner: 0.02,
    Scanned.inline_scanner: 0.02,
    Scanned.slow_scanner: 0.02,
    Scanned.hurried_reader: 0.01,
}
"""Which share of the letters goes to whom: mixed mail, a fifth of it scanned by somebody."""
LINKS = [0, 1, 1, 2, 3, 4, 5, 6, 8]
SHORT: dict[Kind, list[int]] = {Scanned.waiting: [1, 1, 1, 2], Scanned.thorough: [2, 2, 3]}
"""How many links letters have, and those that are short by their nature."""
HONEYPOTS = 0.3
"""How many letters carry a hidden link."""
TOLD = 0.1
"""How many letters have no links of ours: their provider's webhooks tell who opened and clicked."""


def letter_to(kind: Kind, noise: random.Random, number: int, delivered: int) -> Letter:
    """A letter of that kind. Half of the webhooks are there within a second, some minutes later."""
    lag = noise.choice([noise.randrange(SECOND), noise.randrange(SECOND, 30 * SECOND), noise.randrange(5 * MINUTE)])
    told = noise.random() < TOLD
    honeypot = not told and noise.random() < HONEYPOTS
    return Letter(number, delivered, noise.choice(SHORT.get(kind, LINKS)), honeypot, told, lag)


def seen(letter: Letter, act: Act) -> bool:
    """Whether anybody hears of it."""
    return not letter.told or (act.mark is Mark.NONE and not act.prefetch)


def day(start: int, letters: int, seed: int) -> tuple[list[Letter], list[Act]]:
    """Letters delivered from `start` (microseconds since 1970) on, most in the morning, and all acts in their order.

    No two acts of one message have the same time, so that time and message name an act.
    """
    noise = random.Random(seed)
    sent, acts = [], []
    for number in range(letters):
        delivered = start + int(noise.triangular(0, 16, 8) * HOUR)
        (kind,) = noise.choices(list(KINDS), list(KINDS.values()))
        letter = letter_to(kind, noise, number, delivered)
        sent.append(letter)
        taken: set[int] = set()
        for act in kind(Scanned(noise, letter)):
            if not seen(letter, act):
                continue
            at = act.at
            while at in taken:
                at += 1
            taken.add(at)
            acts.append(act._replace(at=at))
    return sent, sorted(acts)
