"""Mail, hits, told opens, choices, erasures, restarts in any order: what is kept was allowed when it was counted."""

import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from postmeter.aggregator.errors import OutOfStep
from postmeter.aggregator.fold import moments
from postmeter.aggregator.metrics import ErasureMetrics
from postmeter.aggregator.store.memory import Memory
from postmeter.aggregator.upkeep.erasure.job import Erasures
from postmeter.shared.privacy.levels import Choice, Level
from postmeter.shared.storage import postgres
from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.records import Consent, Record
from tests.aggregation import AT, SECOND, Bench, bench, event, hit, message, registration
from tests.integration.flushes import HOUR, Side, sides

PEOPLE = [f"{n:064x}" for n in range(2)]
MESSAGES = range(1, 17)
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
    """Step by step, in the order in which it is counted. levels: of each message that is out; only ever lowered.
    erased: when a person was; named: the messages that are still somebody's. waiting, pages: opens, and choices on
    their pages, of messages that are not sent yet. chosen: when a person chose last.
    """

    choices: dict[str, Choice] = field(default_factory=lambda: dict.fromkeys(PEOPLE, Choice.UNKNOWN))
    levels: dict[int, Level] = field(default_factory=dict)
    waiting: list[tuple[int, int]] = field(default_factory=list)
    pages: list[tuple[int, Choice, int]] = field(default_factory=list)
    chosen: Counter[str] = field(default_factory=Counter)
    history: dict[int, Counter[tuple[int, bool]]] = field(default_factory=dict)
    erased: dict[str, int] = field(default_factory=dict)
    named: set[int] = field(default_factory=set)
    opens: int = 0
    anonymous: int = 0

    def send(self, n: int, when: int) -> None:
        if n in self.levels:
            return
        who = PEOPLE[n % 2]
        is_erased = when <= self.erased.get(who, 0)
        self.levels[n] = Level.OFF if is_erased else CEILING[self.choices[who]]
        self.history[n] = Counter()
        if not is_erased:
            self.named.add(n)
            for _, choice, chosen in [one for one in self.pages if one[0] == n]:
                self.choose(who, choice, chosen)
        self.pages = [one for one in self.pages if one[0] != n]
        for _, opened in [one for one in self.waiting if one[0] == n]:
            self.open(n, opened)
        self.waiting = [one for one in self.waiting if one[0] != n]

    def choose(self, who: str, choice: Choice, when: int) -> None:
        if when < self.chosen[who]:
            return
        self.choices[who], self.chosen[who] = choice, when
        for n, level in self.levels.items():
            if PEOPLE[n % 2] == who:
                self.levels[n] = max(level, CEILING[choice])

    def erase(self, who: str, when: int) -> None:
        """What his mail added up to stays; of it nothing else does, and of him no choice."""
        self.choices[who], self.chosen[who], self.erased[who] = Choice.UNKNOWN, 0, when
        for n in [n for n in self.named if PEOPLE[n % 2] == who]:
            self.levels[n], self.history[n] = Level.OFF, Counter()
            self.named.remove(n)

    def choose_on_page(self, n: int, choice: Choice, when: int) -> None:
        if n in self.named:
            self.choose(PEOPLE[n % 2], choice, when)
        elif n not in self.levels:
            self.pages.append((n, choice, when))

    def open(self, n: int, when: int) -> None:
        if n not in self.levels:
            self.waiting.append((n, when))
            return
        if self.levels[n] is Level.OFF:
            return
        self.opens += 1
        if self.levels[n] is Level.ANONYMOUS:
            self.anonymous += 1
        else:
            full = self.levels[n] is Level.FULL
            self.history[n][when if full else when - when % HOUR, full] += 1


async def count(side: Side, *found: Record) -> None:
    """As a worker does: what is out of step is counted again."""
    try:
        await side.flush(list(found))
    except OutOfStep:
        await side.flush(list(found))


@asynccontextmanager
async def eraser(at: Bench) -> AsyncIterator[Erasures]:
    pool = await postgres.connect(at.settings, "eraser", 60, moments.prepare, moments.PLANS)
    yield Erasures(pool, at.client, Memory(100), ErasureMetrics(CollectorRegistry()))
    await pool.close()


async def erase(at: Bench, erasing: Erasures, who: str, when: int) -> None:
    """To its end: nobody else is at work meanwhile."""
    query = (
        "INSERT INTO erasure (workspace, id, to_hash, requested_by, requested_at)"
        " VALUES (1, gen_random_uuid(), $1, 'key:1', $2)"
    )
    await at.db.execute(query, who, datetime.fromtimestamp(when / SECOND, UTC))
    while await erasing._round():
        pass
    assert await at.value("SELECT count(*) FROM erasure WHERE completed_at IS NULL") == 0


@pytest.mark.parametrize("seed", range(5))
async def test_any_order_keeps_what_was_allowed(at: Bench, seed: int) -> None:
    dice, model = random.Random(seed), Model()
    clock = 0
    async with sides(at, 6) as made, eraser(at) as erasing:
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
                    # Some were on their way for long, as those are whose readers have seen their pages already.
                    told = AT if n in {page for page, *_ in model.pages} else dice.choice((AT, when))
                    await count(side, registration(n, to_hash=PEOPLE[n % 2], at=told))
                    await side.sweep()
                    model.send(n, told)
                elif act < 0.45:
                    who, choice, is_page = dice.choice(PEOPLE), dice.choice(list(Choice)), dice.random() < 0.5
                    whose, said = ("", message(n)) if is_page else (who, b""), (int(choice), int(choice))
                    await count(side, Consent(when, when, 1, *whose, *said, "form", "1", "shop", "key:k"))
                    await side.lower()
                    if is_page:
                        model.choose_on_page(n, choice, when)
                    else:
                        model.choose(who, choice, when)
                elif act < 0.5:
                    who = dice.choice(PEOPLE)
                    await erase(at, erasing, who, when)
                    model.erase(who, when)
                elif act < 0.75:
                    await count(side, hit(n, when))
                    model.open(n, when)
                else:
                    await count(side, event(EventType.OPENED, n, when, user_agent=b"Thunderbird", ip="203.0.113.9"))
                    model.open(n, when)
    rows = await at.db.fetch("SELECT at, user_agent IS NOT NULL AS whole FROM history WHERE type = 10")
    assert Counter((round(row["at"].timestamp() * SECOND), row["whole"]) for row in rows) == sum(
        model.history.values(), Counter()
    )
    rows = await at.db.fetch("SELECT id FROM mail WHERE to_hash <> ''")
    assert {row["id"].bytes for row in rows} == {message(n) for n in model.named}
    sums = await at.db.fetchrow(
        "SELECT coalesce(sum(human_opens), 0)::int, coalesce(sum(anonymous_opens), 0)::int"
        " FROM activity_15m WHERE series <> 0"
    )
    assert sums is not None
    assert tuple(sums) == (model.opens, model.anonymous)
