"""What the aggregator's tables must hold: the numbers by their definitions in semantics.md, counted the slow way."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from postmeter.shared.storage.partitions import add_months
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.rollups import ACTIVITY, CREATED, SENT, TOTAL, Rollup
from postmeter.shared.storage.thresholds import Thresholds
from postmeter.shared.stream import live_totals, records, streams
from postmeter.shared.stream.events import BounceType, EventType, Mark, State
from postmeter.shared.stream.records import Event, Hit, Record, Registration
from tests.aggregation import SECOND, Bench, batch
from tests.company import Seen, company
from tests.waiting import until

Counts = Counter[tuple[str, str, int, str]]
"""By campaign, domain, a bucket's start in seconds, and counter."""
STATES = ("queued", "sending", "sent", "soft_bounced", "delivered", "failed", "hard_bounced", "complained")
"""By their numbers from 1; a message's number only rises."""
ENGAGED = {1: "opened", 2: "clicked", 3: "replied"}
TWO_YEARS = 2 * 366 * 86400 * SECOND
_FOUR_MONTHS_AGO = add_months(datetime.now(UTC).date(), -4)
OLDEST = {"cohort_created_1s": int(datetime(_FOUR_MONTHS_AGO.year, _FOUR_MONTHS_AGO.month, 1, tzinfo=UTC).timestamp())}
"""The first second that a table reaches back to, where that is not two years."""


class Model:
    """The numbers by their definitions in semantics.md, counted the slow way."""

    def __init__(self, found: list[tuple[Record, str]], said: Thresholds | None = None) -> None:
        self.registered = {r.message: r for r, _ in found if isinstance(r, Registration)}
        self.named = {r.provider_message: r.message for r in self.registered.values()}
        happened: list[Hit | Event] = [r for r, _ in found if isinstance(r, Hit)]
        once = {key: r for r, key in found if isinstance(r, Event) and key}
        happened += [*once.values(), *(r for r, key in found if isinstance(r, Event) and not key)]
        self.activity: Counts = Counter()
        self.first: dict[tuple[bytes, int], int] = {}
        self.progress: defaultdict[bytes, list[Any]] = defaultdict(lambda: [int(State.QUEUED), None, None])
        self.history: Counter[tuple[Any, ...]] = Counter()
        self.waiting = 0
        self.company = self._company(happened, said or Thresholds())
        for one in happened:
            self._add(one)
        for (of, kind), at in self.first.items():
            name = {1: "unique_opens", 2: "unique_clicks", 3: "unique_replies", 4: "unique_unsubscribed"}[kind]
            self._count(of, at, name)
        self.created, self.sent = self._cohorts()

    def _company(self, happened: Iterable[Hit | Event], said: Thresholds) -> dict[tuple[bytes, int, bytes], str]:
        """(message, time, user agent) of clicks that are a machine's by their company, and why."""
        clicks: defaultdict[bytes, list[Seen]] = defaultdict(list)
        delivered: dict[bytes, int] = {}
        for one in happened:
            of = one.message or (self.named.get(one.provider_message, b"") if isinstance(one, Event) else b"")
            if isinstance(one, Hit) and one.mark:
                clicks[of].append(Seen(one.at, one.url, one.user_agent, Mark(one.mark).name.lower()))
            elif one.type == EventType.CLICKED if isinstance(one, Event) else one.url and not one.prefetch:
                clicks[of].append(Seen(one.at, one.url, one.user_agent))
            elif isinstance(one, Event) and one.type == EventType.DELIVERED:
                delivered[of] = min(one.at, delivered.get(of, one.at))
        return {
            (of, click.at, click.agent): reason
            for of, some in clicks.items()
            if of in self.registered
            for click, reason in company(some, self.registered[of].links, delivered.get(of), said).items()
        }

    def _cohorts(self) -> tuple[Counts, Counts]:
        """(by creation: messages by state; by sending: messages by what happened), by the second."""
        created: Counts = Counter()
        sent: Counts = Counter()
        for of, r in self.registered.items():
            state, sent_at, _ = self.progress[of]
            # What is too long ago counts when it was received.
            at = r.created if r.created > r.at - TWO_YEARS else r.at
            created[r.campaign, r.from_domain, at // SECOND, STATES[state - 1]] += 1
            if sent_at is None:
                continue
            happened = [name for kind, name in ENGAGED.items() if (of, kind) in self.first]
            for name in ("mailed", *happened):
                sent[r.campaign, r.from_domain, sent_at // SECOND, name] += 1
        return created, sent

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
            alone = isinstance(one, Hit) and (one.prefetch or one.mark)
            verdict = 3 if alone or (of, one.at, one.user_agent) in self.company else 1
            if isinstance(one, Hit) and one.mark == Mark.HEAD:
                return
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
        if one.type == EventType.DELIVERED and self.registered[of].tracks_opens:
            self._count(of, one.at, "trackable")
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
            progress[0] = max(progress[0], order.index(name) + 1)
        for place, kind in ((1, EventType.SENT), (2, EventType.DELIVERED)):
            if one.type == kind:
                progress[place] = one.at if progress[place] is None else min(progress[place], one.at)


def micro(column: str) -> str:
    return f"(extract(epoch FROM {column}) * 1000000)::bigint"


async def counts_of(
    db: Connection, workspace: int, table: str, counters: tuple[str, ...], *, has_total: bool = True
) -> Counts:
    """A rollup's table by (campaign, domain, bucket, counter). Its totals, if any, must be the sums of its series."""
    rows = await db.fetch(
        f"SELECT campaign, domain, extract(epoch FROM bucket)::bigint AS start, a.* FROM {table} a"
        " LEFT JOIN series s ON s.workspace = a.workspace AND s.id = a.series WHERE a.workspace = $1",
        workspace,
    )
    found: Counts = Counter()
    sums: Counter[tuple[int, str]] = Counter()
    totals: Counter[tuple[int, str]] = Counter()
    for row in rows:
        for name in counters:
            if row["series"] == TOTAL:
                totals[row["start"], name] += row[name] or 0
            else:
                sums[row["start"], name] += row[name] or 0
                found[row["campaign"], row["domain"], row["start"], name] += row[name] or 0
    if not has_total:
        sums.clear()
    assert {k: n for k, n in totals.items() if n} == {k: n for k, n in sums.items() if n}, f"totals of {table}"
    return Counter({key: n for key, n in found.items() if n})


async def check_rollup(db: Connection, workspace: int, rollup: Rollup, model: Counts) -> None:
    """Every tier of a rollup holds what the model has counted by finer buckets, as far as the tier reaches back."""
    for tier in rollup.tiers:
        expected: Counts = Counter()
        for (campaign, domain, start, name), n in model.items():
            if n and start >= OLDEST.get(tier.table, 0):
                expected[campaign, domain, start // tier.seconds * tier.seconds, name] += n
        found = await counts_of(db, workspace, tier.table, rollup.counters, has_total=tier.has_total)
        assert found == expected, tier.table


async def check_tables(db: Connection, workspace: int, model: Model) -> None:
    """Every table that the aggregator writes for the workspace says what the model says."""
    await check_rollup(db, workspace, ACTIVITY, model.activity)
    await check_rollup(db, workspace, CREATED, model.created)
    await check_rollup(db, workspace, SENT, model.sent)
    query = f"SELECT message, kind, {micro('at')} FROM engagement WHERE workspace = $1 AND at < 'infinity'"
    rows = await db.fetch(query, workspace)
    assert {(row[0].bytes, row[1]): row[2] for row in rows} == model.first
    rows = await db.fetch(
        f"SELECT id, state, {micro('sent_at')}, {micro('delivered_at')} FROM message WHERE workspace = $1", workspace
    )
    assert {row[0].bytes: list(row)[1:] for row in rows} == {m: model.progress[m] for m in model.registered}
    query = f"SELECT message, {micro('at')}, type, verdict FROM history WHERE workspace = $1 AND counted"
    rows = await db.fetch(query, workspace)
    assert Counter((r[0].bytes if r[0] else None, *list(r)[1:]) for r in rows) == model.history


SHARDS = 3


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
            by_shard[streams.shard_of(streams.slot_of_key(record.key), SHARDS)].append(record)
        else:
            by_shard[noise.randrange(SHARDS)].append(record)
    made = list[tuple[int, str, bytes]]()
    for shard, some in by_shard.items():
        noise.shuffle(some)
        while some:
            size = noise.randint(1, 6)
            made.append((shard, str(len(made)), batch(some[:size])))
            some = some[size:]
    made += [entry for entry in made if noise.random() < 0.3]
    noise.shuffle(made)
    return made


async def check_live(at: Bench, workspace: int, model: Model) -> None:
    sums: Counter[str] = Counter()
    for (_, _, _, name), n in model.activity.items():
        sums[name] += n
    expected = live_totals.LiveTotals(
        opens=sums["human_opens"] + sums["proxy_opens"],
        unique_opens=sums["unique_opens"],
        machine_opens=sums["machine_opens"],
        clicks=sums["human_clicks"],
        unique_clicks=sums["unique_clicks"],
        machine_clicks=sums["machine_clicks"],
    )

    async def published() -> bool:
        shards: Any = await at.client.hgetall(streams.live(workspace))
        return live_totals.total(map(live_totals.decode, shards.values())) == expected

    await until(published)
