"""What is kept of opens and clicks at each level, whatever comes first and wherever it enters (docs/privacy.md)."""

import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from postmeter.shared.privacy.anonymous_sources import source_of
from postmeter.shared.privacy.levels import CLICK_LEVELS, Choice, Level
from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.records import MARK_BITS, Event, Mail, Record
from tests.aggregation import AT, SECOND, Bench, bench, event, hit, message, registration
from tests.integration.flushes import HOUR, Side, sides

URL = "https://shop.example/sale"
CLICK_CHOICES = tuple(CLICK_LEVELS.values())
NAMES = ("human_opens", "machine_opens", "anonymous_opens", "unique_opens", "human_clicks", "anonymous_clicks",
         "unique_clicks", "trackable", "delivered")  # fmt: skip


@pytest.fixture
async def at(postgres_dsn: str, redis_url: str) -> AsyncIterator[Bench]:
    async with bench(postgres_dsn, redis_url) as made:
        yield made


class Story(NamedTuple):
    """A message and what happens to it. opens, clicks: the levels that it was registered with."""

    n: int
    opens: Level
    clicks: Level
    choice: Choice
    records: list[Record]
    opened: list[tuple[int, bool]]
    clicked: list[int]


def story(noise: random.Random, n: int) -> Story:
    opens, clicks = noise.choice(list(Level)), noise.choice(CLICK_CHOICES)
    choice = noise.choice([Choice.UNKNOWN, Choice.UNKNOWN, Choice.GRANTED, Choice.DENIED])
    made = registration(
        n,
        campaign=f"c{n % 2}",
        opens=int(opens),
        clicks=int(clicks),
        tracks_opens=opens is not Level.OFF,
        tracks_clicks=clicks is not Level.OFF,
    )
    told: list[Record] = [made, event(EventType.SENT, n), event(EventType.DELIVERED, n)]
    opened: list[tuple[int, bool]] = []
    clicked: list[int] = []
    for place in range(noise.randrange(5)):
        when = AT + noise.randrange(100) * HOUR + (1000 * n + place) * SECOND
        if noise.random() < 0.3:  # told by the API, which knows no token
            told.append(event(EventType.OPENED, n, when, user_agent=b"Thunderbird", ip="203.0.113.9"))
            opened.append((when, False))
        elif noise.random() < 0.5:
            machine = noise.random() < 0.3
            told.append(_hit(n, opens, made.campaign, when, prefetch=machine))
            opened.append((when, machine))
        else:
            told.append(_hit(n, clicks, made.campaign, when, url=URL))
            clicked.append(when)
    return Story(n, opens, clicks, choice, told, opened, clicked)


def _hit(n: int, level: Level, campaign: str, when: int, **changes: Any) -> Record:
    """A hit of the link that a message of that level carries; of one that carries none, as of an older link."""
    signed = Level.FULL if level is Level.OFF else level
    named = source_of(1, campaign, "shop.example") if signed is Level.ANONYMOUS else message(n)
    return hit(n, when, message=named, mark=signed << MARK_BITS, **changes)


class Expected:
    """What a plain reading of docs/privacy.md says of stories."""

    def __init__(self, stories: list[Story], workspace: tuple[Level, Level], denied: tuple[Level, Level]) -> None:
        self.totals: Counter[str] = Counter(dict.fromkeys(NAMES, 0))
        self.history: Counter[tuple[int, str, bool]] = Counter()
        self.last: dict[str, int] = {}
        for one in stories:
            refused = one.choice is Choice.DENIED
            opens = max(one.opens, workspace[0], denied[0] if refused else Level.FULL)
            clicks = max(one.clicks, workspace[1], denied[1] if refused else Level.FULL)
            self.totals["delivered"] += 1
            self.totals["trackable"] += opens <= Level.PSEUDONYMOUS
            people = 0
            for when, machine in one.opened:
                level = self._of_hit(one, opens, one.opens, workspace[0])
                if level is Level.OFF:
                    continue
                self.totals["machine_opens" if machine else "human_opens"] += 1
                people += not machine
                if level >= Level.LAST_DATE and not machine:
                    self.totals["anonymous_opens"] += 1
                if level is Level.LAST_DATE and not machine:
                    who = f"{one.n:064x}"
                    self.last[who] = max(when, self.last.get(who, when))
                self._keep(level, when, "open")
            self.totals["unique_opens"] += opens <= Level.PSEUDONYMOUS and people > 0
            for when in one.clicked:
                level = self._of_hit(one, clicks, one.clicks, workspace[1])
                if level is Level.OFF:
                    continue
                self.totals["human_clicks"] += 1
                if level >= Level.LAST_DATE:
                    self.totals["anonymous_clicks"] += 1
                self._keep(level, when, "click")
            self.totals["unique_clicks"] += clicks <= Level.PSEUDONYMOUS and bool(one.clicked)

    @staticmethod
    def _of_hit(one: Story, level: Level, signed: Level, workspace: Level) -> Level:
        """A link that names nobody is counted though its recipient refused later: nobody can tell that it was his."""
        return max(Level.ANONYMOUS, workspace) if signed is Level.ANONYMOUS else level

    def _keep(self, level: Level, when: int, kind: str) -> None:
        if level is Level.FULL:
            self.history[when, kind, True] += 1
        elif level is Level.PSEUDONYMOUS:
            self.history[when - when % HOUR, kind, False] += 1


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_comes_first_each_level_keeps_what_its_name_says(at: Bench, seed: int) -> None:
    noise = random.Random(seed)
    workspace = noise.choice(list(Level)[:3] if seed else [Level.FULL]), noise.choice(CLICK_CHOICES[2:])
    denied = noise.choice([Level.ANONYMOUS, Level.OFF]), noise.choice([Level.ANONYMOUS, Level.OFF])
    # An event of the API about a message whose link names nobody is a message's event: it is told of that message.
    stories = [story(noise, n) for n in range(1, 25)]
    stories = [one if one.opens is not Level.ANONYMOUS else _without_told(one) for one in stories]
    await at.db.execute(
        "INSERT INTO privacy_setting (workspace, opens, clicks, denied_opens, denied_clicks)"
        " VALUES (1, $1, $2, $3, $4)",
        *workspace,
        *denied,
    )
    for one in stories:
        if one.choice is not Choice.UNKNOWN:
            await at.db.execute(
                "INSERT INTO recipient_choice (workspace, to_hash, opens, clicks) VALUES (1, $1, $2, $2)",
                f"{one.n:064x}",
                int(one.choice),
            )
    told = [record for one in stories for record in one.records]
    noise.shuffle(told)
    async with sides(at, 2) as made:
        await _play(noise, made, told)
    assert await at.db.fetchval("SELECT count(*) FROM waiting") == 0
    assert await at.db.fetch("SELECT reason FROM dead_letter") == []
    expected = Expected(stories, workspace, denied)
    for table in ("activity_15m", "activity_1h", "activity_1d"):
        sums = ", ".join(f"coalesce(sum({name}), 0)::int AS {name}" for name in NAMES)
        row = await at.db.fetchrow(f"SELECT {sums} FROM {table} WHERE workspace = 1 AND series <> 0")
        assert row is not None
        assert dict(row) == dict(expected.totals), table
    rows = await at.db.fetch(
        "SELECT at, type, user_agent IS NOT NULL OR ip IS NOT NULL AS whole FROM history WHERE type IN (10, 11)"
    )
    assert Counter((_micros(r["at"]), "open" if r["type"] == 10 else "click", r["whole"]) for r in rows) == (
        expected.history
    )
    days = {r["to_hash"]: r["day"] for r in await at.db.fetch("SELECT to_hash, day FROM last_open")}
    assert days == {who: datetime.fromtimestamp(when // SECOND, UTC).date() for who, when in expected.last.items()}


def _without_told(one: Story) -> Story:
    """Opens that the API tells of such a message are left out here: they are of a message, not of a link."""
    told = [r for r in one.records if not (isinstance(r, Event) and r.type == EventType.OPENED)]
    by_api = {r.at for r in one.records if isinstance(r, Event) and r.type == EventType.OPENED}
    return one._replace(records=told, opened=[o for o in one.opened if o[0] not in by_api])


async def _play(noise: random.Random, made: list[Side], told: list[Record]) -> None:
    while told:
        cut = noise.randrange(1, 12)
        await noise.choice(made).flush(told[:cut])
        told = told[cut:]
    for side in made:
        await side.sweep()


def _micros(at: datetime) -> int:
    return round(at.timestamp() * SECOND)


async def test_a_campaigns_source_counts_where_all_its_messages_agree(at: Bench) -> None:
    source = source_of(1, "spring", "shop.example")
    one = registration(1, opens=int(Level.ANONYMOUS), clicks=int(Level.ANONYMOUS))
    other = registration(2, opens=int(Level.ANONYMOUS), clicks=int(Level.ANONYMOUS), provider="SES")
    opened = hit(1, message=source, mark=Level.ANONYMOUS << MARK_BITS)
    clicked = hit(1, message=source, mark=Level.ANONYMOUS << MARK_BITS, url=URL)
    async with sides(at, 1) as (side,):
        await side.flush([one, opened, clicked])
        await side.flush([other])
        await side.flush([opened])
        await side.flush([registration(3, opens=int(Level.ANONYMOUS), provider="SES")])
    rows = await at.db.fetch(
        "SELECT s.campaign, s.domain, s.provider, s.template, a.anonymous_opens, coalesce(a.anonymous_clicks, 0)"
        " FROM activity_1d a"
        " JOIN series s ON s.workspace = a.workspace AND s.id = a.series WHERE a.anonymous_opens > 0 ORDER BY 3"
    )
    assert [tuple(row) for row in rows] == [
        ("spring", "shop.example", "", "welcome", 1, 0),
        ("spring", "shop.example", "SENDGRID", "welcome", 1, 1),
    ]
    assert await at.db.fetchval("SELECT count(*) FROM event WHERE type IN (10, 11)") == 0
    assert await at.db.fetchval("SELECT sum(human_clicks) FROM link_activity_1d") == 1


async def test_mail_that_only_a_webhook_tells_of_is_kept_as_the_registration_says_later(at: Bench) -> None:
    """Until then its workspace's ceiling holds; what was kept beyond the message's own goes when that is known."""
    mail = Mail("src_1", f"{1:064x}", "reader.example", "news@shop.example", "shop.example", "Hello", "", "", [])

    def told(kind: EventType, when: int) -> Event:
        return event(kind, None, when, provider="SENDGRID", provider_message="sg-1", user_agent=b"Thunderbird",
                     ip="203.0.113.9", url=URL if kind is EventType.CLICKED else "", mail=mail)  # fmt: skip

    await at.db.execute("INSERT INTO workspace (number, id, name) OVERRIDING SYSTEM VALUE VALUES (1, 'a', '')")
    await at.db.execute(
        "INSERT INTO webhook_source (id, workspace, provider, name, secret, options, engagement)"
        " VALUES ('src_1', 1, 'sendgrid', '', '', '{}', 'provider')"
    )
    async with sides(at, 1) as (side,):
        await side.flush([told(EventType.DELIVERED, AT), told(EventType.OPENED, AT + HOUR)])
        await side.flush([told(EventType.CLICKED, AT + 2 * HOUR + 7 * SECOND)])
        assert await at.db.fetchval("SELECT count(*) FROM event WHERE type IN (10, 11)") == 2
        await side.flush([registration(1, opens=int(Level.OFF), clicks=int(Level.PSEUDONYMOUS), tracks_opens=False)])
        await side.adopt()
    rows = await at.db.fetch("SELECT type, at, user_agent, ip FROM history WHERE type IN (10, 11)")
    assert [(r["type"], _micros(r["at"]) % HOUR, r["user_agent"], r["ip"]) for r in rows] == [(11, 0, None, None)]
    assert await at.total() == {"human_clicks": 1, "unique_clicks": 1, "delivered": 1}
