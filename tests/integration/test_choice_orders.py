"""Mail, hits, told opens, choices and restarts in any order: recorded is what was allowed when it was counted."""

import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from postmeter.aggregator.errors import OutOfStep
from postmeter.shared.privacy.levels import Choice, Level
from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.records import Consent, Record
from tests.aggregation import AT, SECOND, Bench, bench, event, hit, registration
from tests.integration.flushes import HOUR, Side, sides

PEOPLE = [f"{n:064x}" for n in range(2)]
MESSAGES = range(1, 9)
UNKNOWN, DENIED = Level.PSEUDONYMOUS, Level.ANONYMOUS
"""What the workspace says of who has not chosen, and of who refused. Who granted is tracked in full."""
CEILING = {Choice.UNKNOWN: UNKNOWN, Choice.GRANTED: Level.FULL, Choice.DENIED: DENIED}


@pytest.fixture
async def at(postgres_dsn: str, redis_url: str) -> AsyncIterator[Bench]:
    async with bench(postgres_dsn, redis_url) as made:
        await made.db.execute(
            "INSERT INTO privacy_setting (workspace, unknown_opens, unknown_clicks, denied_opens, denied_clicks)"
            " VALUES (1, $1, $1, $2, $2)",
            int(UNKNOWN),
            int(DENIED),
        )
        yield made


@dataclass
class Model:
    """Step by step, in the order in which it is counted. levels: of each message that is out; only ever lowered."""

    choices: dict[str, Choice] = field(default_factory=lambda: dict.fromkeys(PEOPLE, Choice.UNKNOWN))
    levels: dict[int, Level] = field(default_factory=dict)
    waiting: list[tuple[int, int]] = field(default_factory=list)
    history: Counter[tuple[int, bool]] = field(default_factory=Counter)
    opens: int = 0
    anonymous: int = 0

    def send(self, n: int) -> None:
        if n in self.levels:
            return
        self.levels[n] = CEILING[self.choices[PEOPLE[n % 2]]]
        for message, when in [one for one in self.waiting if one[0] == n]:
            self.open(message, when)
        self.waiting = [one for one in self.waiting if one[0] != n]

    def choose(self, who: str, choice: Choice) -> None:
        self.choices[who] = choice
        for n, level in self.levels.items():
            if PEOPLE[n % 2] == who:
                self.levels[n] = max(level, CEILING[choice])

    def open(self, n: int, when: int) -> None:
        if n not in self.levels:
            self.waiting.append((n, when))
            return
        self.opens += 1
        if self.levels[n] is Level.ANONYMOUS:
            self.anonymous += 1
        else:
            full = self.levels[n] is Level.FULL
            self.history[when if full else when - when % HOUR, full] += 1


async def count(side: Side, *found: Record) -> None:
    """As a worker does: what is out of step is counted again."""
    try:
        await side.flush(list(found))
    except OutOfStep:
        await side.flush(list(found))


@pytest.mark.parametrize("seed", range(5))
async def test_any_order_keeps_what_was_allowed(at: Bench, seed: int) -> None:
    dice, model = random.Random(seed), Model()
    clock = 0
    async with sides(at, 6) as made:
        for life in range(3):  # each time others go on, that know nothing
            for _ in range(40):
                clock += 1
                side, n, when = (
                    dice.choice(made[2 * life : 2 * life + 2]),
                    dice.choice(MESSAGES),
                    AT + clock * 613 * SECOND,
                )
                act = dice.random()
                if act < 0.2:
                    await count(side, registration(n, to_hash=PEOPLE[n % 2]))
                    await side.sweep()
                    model.send(n)
                elif act < 0.45:
                    who, choice = dice.choice(PEOPLE), dice.choice(list(Choice))
                    told = int(choice)
                    await count(side, Consent(when, when, 1, who, b"", told, told, "form", "1", "shop", "key:k"))
                    await side.lower()
                    model.choose(who, choice)
                elif act < 0.75:
                    await count(side, hit(n, when))
                    model.open(n, when)
                else:
                    await count(side, event(EventType.OPENED, n, when, user_agent=b"Thunderbird", ip="203.0.113.9"))
                    model.open(n, when)
    rows = await at.db.fetch("SELECT at, user_agent IS NOT NULL AS whole FROM history WHERE type = 10")
    assert Counter((round(row["at"].timestamp() * SECOND), row["whole"]) for row in rows) == model.history
    sums = await at.db.fetchrow(
        "SELECT coalesce(sum(human_opens), 0)::int, coalesce(sum(anonymous_opens), 0)::int"
        " FROM activity_15m WHERE series <> 0"
    )
    assert tuple(sums) == (model.opens, model.anonymous)
