"""Any order, splitting, repetition and routing of the same records ends in the tables of a plain model."""

import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postmeter.shared import live, records, streams
from postmeter.shared.events import BounceType, EventType, State
from postmeter.shared.records import Event, Hit, Record, Registration
from postmeter.shared.rollups import COUNTERS
from tests.aggregation import AT, SECOND, Bench, batch, bench, event, hit, registration, until

SHARDS = 3
WORKSPACES = count(1000)
CAMPAIGNS = ("spring", "summer")
MESSAGES = range(4)
HOURS = 3600 * SECOND

moments = st.integers(-40 * HOURS, 40 * HOURS).map(lambda offset: AT + offset)
numbers = st.sampled_from(MESSAGES)
opens_and_clicks = st.builds(
    hit,
    numbers,
    moments,
    url=st.sampled_from(["", "", "https://a.example/x"]),
    prefetch=st.sampled_from([False, False, True]),
    user_agent=st.sampled_from([b"Thunderbird", b"Mozilla/5.0", b"\xff\0"]),
)
keys = st.sampled_from(["", "", "k1", "k2", "k3"])


@st.composite
def told_events(draw: st.DrawFn) -> Event:
    common = [EventType.SENT, EventType.DELIVERED, EventType.BOUNCED] * 4
    kind = draw(st.sampled_from([*common, *(t for t in EventType if t is not EventType.RECEIVED)]))
    n = draw(numbers)
    named = draw(st.booleans())
    return event(
        kind,
        None if named else n,
        draw(moments),
        provider="SENDGRID" if named else "",
        provider_message=f"sg-{n}" if named else "",
        bounce=int(draw(st.sampled_from(BounceType))) if kind is EventType.BOUNCED else 0,
        user_agent=draw(st.sampled_from([b"", b"Mozilla/5.0"])),
    )


received_mail = st.builds(
    event,
    st.just(EventType.RECEIVED),
    at=moments,
    domain=st.sampled_from(["in.example", "shop.example"]),
    size_bytes=st.integers(0, 10**9),
    spam=st.booleans(),
)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[Record, str]]:
    """(record, idempotency key or ''), one record per key."""
    found: list[tuple[Record, str]] = []
    for n in draw(st.sets(numbers)):
        campaign = CAMPAIGNS[n % 2]
        one = registration(n, campaign=campaign, campaign_name=campaign.title())
        found += [(one, "")] * draw(st.integers(1, 2))
    found += [(one, "") for one in draw(st.lists(opens_and_clicks, max_size=25))]
    by_key: dict[str, Event] = {}
    for one, key in draw(st.lists(st.tuples(told_events() | received_mail, keys), max_size=20)):
        found.append((by_key.setdefault(key, one) if key else one, key))
    return found


def in_workspace(record: Record, key: str, workspace: int) -> Record:
    if isinstance(record, Event) and key:
        name = records.idempotency_key(workspace, key)
        return msgspec.structs.replace(record, workspace=workspace, key=name, digest=b"digest-8")
    return msgspec.structs.replace(record, workspace=workspace)


def entries(found: list[Record], noise: random.Random) -> list[tuple[int, str, bytes]]:
    """(shard, batch id, packed): routed as the tracking-service does, split and repeated at random, shuffled."""
    by_shard: defaultdict[int, list[Record]] = defaultdict(list)
    for record in found:
        if isinstance(record, Event) and record.key:
            by_shard[streams.shard_of(record.key, SHARDS)].append(record)
        else:
            by_shard[noise.randrange(SHARDS)].append(record)
    made = []
    for shard, some in by_shard.items():
        noise.shuffle(some)
        while some:
            size = noise.randint(1, 6)
            made.append((shard, str(len(made)), batch(some[:size])))
            some = some[size:]
    made += [entry for entry in made if noise.random() < 0.3]
    noise.shuffle(made)
    return made


class Model:
    """The numbers by their definitions in SEMANTICS.md, counted the slow way."""

    def __init__(self, found: list[tuple[Record, str]]) -> None:
        self.registered = {r.message: r for r, _ in found if isinstance(r, Registration)}
        self.named = {r.provider_message: r.message for r in self.registered.values()}
        happened: list[Hit | Event] = [r for r, _ in found if isinstance(r, Hit)]
        once = {key: r for r, key in found if isinstance(r, Event) and key}
        happened += [*once.values(), *(r for r, key in found if isinstance(r, Event) and not key)]
        self.activity: Counter[tuple[str, str, int, str]] = Counter()
        self.first: dict[tuple[bytes, int], int] = {}
        self.progress: defaultdict[bytes, list[Any]] = defaultdict(lambda: [int(State.QUEUED), None, None])
        self.history: Counter[tuple[Any, ...]] = Counter()
        self.waiting = 0
        for one in happened:
            self._add(one)
        for (of, kind), at in self.first.items():
            name = {1: "unique_opens", 2: "unique_clicks", 3: "unique_replies", 4: "unique_unsubscribed"}[kind]
            self._count(of, at, name)

    def _count(self, of: bytes | str, at: int, name: str, n: int = 1) -> None:
        place = ("", of) if isinstance(of, str) else (self.registered[of].campaign, self.registered[of].from_domain)
        self.activity[(*place, at // (900 * SECOND) * 900, name)] += n

    def _add(self, one: Hit | Event) -> None:
        if isinstance(one, Event) and one.type == EventType.RECEIVED:
            self._count(one.domain, one.at, "received")
            self._count(one.domain, one.at, "spam", int(one.spam))
            self._count(one.domain, one.at, "size_bytes", one.size_bytes)
            self.history[None, one.at, one.type, None] += 1
            return
        of = one.message
        if isinstance(one, Event) and not of:
            of = self.named.get(one.provider_message, b"")
        if of not in self.registered:
            self.waiting += 1
            return
        kind = one.type if isinstance(one, Event) else EventType.CLICKED if one.url else EventType.OPENED
        verdict = None
        if kind == EventType.OPENED:
            proxy = one.user_agent == b"Mozilla/5.0"
            verdict = 3 if isinstance(one, Hit) and one.prefetch else 2 if proxy else 1
            self._count(of, one.at, {1: "human_opens", 2: "proxy_opens", 3: "machine_opens"}[verdict])
        elif kind == EventType.CLICKED:
            verdict = 3 if isinstance(one, Hit) and one.prefetch else 1
            self._count(of, one.at, {1: "human_clicks", 3: "machine_clicks"}[verdict])
        self.history[of, one.at, kind, verdict] += 1
        engagements = {EventType.OPENED: 1, EventType.CLICKED: 2, EventType.REPLIED: 3, EventType.UNSUBSCRIBED: 4}
        if kind in engagements and verdict != 3:
            place = (of, engagements[EventType(kind)])
            self.first[place] = min(self.first.get(place, one.at), one.at)
        if isinstance(one, Event):
            self._told(of, one)

    def _told(self, of: bytes, one: Event) -> None:
        hard = one.bounce == BounceType.HARD
        counters = {
            EventType.SENT: "sent",
            EventType.DELIVERED: "delivered",
            EventType.DEFERRED: "deferred",
            EventType.BOUNCED: "hard_bounced" if hard else "soft_bounced",
            EventType.FAILED: "failed",
            EventType.COMPLAINED: "complained",
            EventType.UNSUBSCRIBED: "unsubscribed",
            EventType.REPLIED: "replies",
        }
        if one.type in counters:
            self._count(of, one.at, counters[EventType(one.type)])
        order = [
            EventType.QUEUED,
            EventType.SENDING,
            EventType.SENT,
            (EventType.BOUNCED, BounceType.SOFT),
            EventType.DELIVERED,
            EventType.FAILED,
            (EventType.BOUNCED, BounceType.HARD),
            EventType.COMPLAINED,
        ]
        name = (EventType.BOUNCED, one.bounce) if one.type == EventType.BOUNCED else one.type
        progress = self.progress[of]
        if name in order:
            progress[0] = max(progress[0], order.index(name) + 1)  # type: ignore[arg-type]
        for place, kind in ((1, EventType.SENT), (2, EventType.DELIVERED)):
            if one.type == kind:
                progress[place] = one.at if progress[place] is None else min(progress[place], one.at)


def micro(column: str) -> str:
    return f"(extract(epoch FROM {column}) * 1000000)::bigint"


async def activity_of(at: Bench, workspace: int, table: str) -> Counter[tuple[str, str, int, str]]:
    rows = await at.db.fetch(
        f"SELECT campaign, domain, extract(epoch FROM bucket)::bigint AS bucket, a.* FROM {table} a"
        " JOIN series s ON s.workspace = a.workspace AND s.id = a.series WHERE a.workspace = $1",
        workspace,
    )
    found: Counter[tuple[str, str, int, str]] = Counter()
    for row in rows:
        for name in COUNTERS:
            found[row["campaign"], row["domain"], row[2], name] += row[name]
    return found


async def check(at: Bench, workspace: int, model: Model) -> None:
    for table, seconds in (("activity_15m", 900), ("activity_1h", 3600), ("activity_1d", 86400)):
        expected: Counter[tuple[str, str, int, str]] = Counter()
        for (campaign, domain, bucket, name), n in model.activity.items():
            expected[campaign, domain, bucket // seconds * seconds, name] += n
        assert +await activity_of(at, workspace, table) == +expected, table
    rows = await at.db.fetch(f"SELECT message, kind, {micro('at')} FROM engagement WHERE workspace = $1", workspace)
    assert {(row[0].bytes, row[1]): row[2] for row in rows} == model.first
    rows = await at.db.fetch(
        f"SELECT id, state, {micro('sent_at')}, {micro('delivered_at')} FROM message WHERE workspace = $1", workspace
    )
    assert {row[0].bytes: list(row)[1:] for row in rows} == {m: model.progress[m] for m in model.registered}
    rows = await at.db.fetch(f"SELECT message, {micro('at')}, type, verdict FROM event WHERE workspace = $1", workspace)
    assert Counter((r[0].bytes if r[0] else None, *list(r)[1:]) for r in rows) == model.history
    await check_live(at, workspace, model)


async def check_live(at: Bench, workspace: int, model: Model) -> None:
    sums: Counter[str] = Counter()
    for (_, _, _, name), n in model.activity.items():
        sums[name] += n
    expected = live.LiveTotals(
        opens=sums["human_opens"] + sums["proxy_opens"],
        unique_opens=sums["unique_opens"],
        machine_opens=sums["machine_opens"],
        clicks=sums["human_clicks"],
        unique_clicks=sums["unique_clicks"],
        machine_clicks=sums["machine_clicks"],
    )

    async def published() -> bool:
        shards: Any = await at.client.hgetall(streams.live(workspace))  # type: ignore[misc]
        return live.total(list(shards.values())) == expected

    await until(published, 5)


@pytest.fixture
async def at(postgres_dsn: str, redis_url: str) -> AsyncIterator[Bench]:
    async with (
        bench(postgres_dsn, redis_url) as made,
        made.aggregator(),
        made.aggregator(batch_records=5),
        made.aggregator(flush_pause=0.0),
    ):
        yield made


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(found=histories(), seed=st.integers(0, 2**32))
async def test_any_order_ends_in_the_same_tables(at: Bench, found: list[tuple[Record, str]], seed: int) -> None:
    workspace = next(WORKSPACES)
    noise = random.Random(seed)
    for shard, batch_id, packed in entries([in_workspace(r, key, workspace) for r, key in found], noise):
        await at.streams.append(shard, batch_id=f"{workspace}-{batch_id}", packed=packed)
    model = Model(found)
    await at.counted()

    async def settled() -> bool:
        waiting = await at.value("SELECT count(*) FROM waiting WHERE workspace = $1", workspace)
        return bool(waiting == model.waiting)

    await until(settled)
    await check(at, workspace, model)
