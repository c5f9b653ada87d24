"""What must hold of a world: at each commit, and when the faults have stopped and everything has settled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from postmeter.aggregator.fold.moments import NEVER
from postmeter.shared.storage.rollups import ACTIVITY, CREATED, LINKS, REASONS, SENT, TOTAL, Rollup
from postmeter.shared.stream import live_totals, records, streams
from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.records import Record, Registration
from tests.integration.aggregator_model import Counts, Model
from tests.simulation.postgres.history import shown
from tests.simulation.postgres.store import Place, Store, Transaction
from tests.simulation.redis_server import Redis
from tests.simulation.trace import Trace

COUNTED = {"event", "dedup", "engagement", "waiting", *(tier.table for tier in ACTIVITY.tiers)}
SECOND = 1_000_000
LIVE = {
    "opens": ("human_opens", "proxy_opens"),
    "unique_opens": ("unique_opens",),
    "machine_opens": ("machine_opens",),
    "clicks": ("human_clicks",),
    "unique_clicks": ("unique_clicks",),
    "machine_clicks": ("machine_clicks",),
}


class Broken(Exception):
    """An invariant does not hold."""


class Ledger:
    """What the trackers were asked to record, and what they have answered."""

    def __init__(self, trace: Trace) -> None:
        self.asked: dict[Any, Record] = {}
        self.answered: set[Any] = set()
        self.dropped = 0
        self.problems: list[str] = []
        self._history: set[Any] = set()
        self._trace = trace
        self.redis: Redis

    def problem(self, what: str) -> None:
        """Something does not hold; the world goes on."""
        self._trace("invariants", f"BROKEN: {what}")
        self.problems.append(what)

    def ask(self, record: Record) -> None:
        self.asked[known_by(record)] = record

    def answer(self, record: Record) -> None:
        """The caller was told that it is recorded."""
        self.answered.add(known_by(record))

    # -- at each commit

    def committed(self, transaction: Transaction, changed: dict[Place, Any]) -> None:
        touched = sorted({table for table, _ in changed} & COUNTED)
        for (table, key), (before, after) in changed.items():
            if table == "shard" and before is not None and before["position"] != after["position"]:
                self._moved(key, transaction.of, before, after)
            elif table == "event" and before is None:
                place = (after["workspace"], after["at"])
                if place in self._history:
                    self.problem(f"{_named(place)} counted twice, now by {transaction.of}")
                self._history.add(place)
        if touched:
            self._trace(transaction.of, f"commits {', '.join(touched)} of {_shards(transaction)}")
            for shard, epoch in transaction.moved:
                if transaction.store.tables["shard"][shard]["epoch"] != epoch:
                    self.problem(f"{transaction.of} counted for shard {shard} under the old epoch {epoch}")
            if not transaction.moved:
                self.problem(f"{transaction.of} counted without holding its shard")

    def _moved(self, shard: int, who: str, before: Any, after: Any) -> None:
        self._trace(who, f"moves shard {shard} from {before['position']} to {after['position']}")
        if _order(after["position"]) < _order(before["position"]) and not self.redis.lost:
            self.problem(f"the position of shard {shard} went back")

    # -- when all has settled

    def check(self, store: Store, redis: Redis) -> None:
        """Raises Broken with all that does not hold."""
        lost = {known_by(one) for fields in redis.lost for one in _records_of(fields)}
        counted = self._counted(store)
        for place in counted:
            if place not in self.asked:
                self.problem(f"{_named(place)} is counted, and nobody has told of it")
            elif counted[place] > 1:
                self.problem(f"{_named(place)} is there {counted[place]} times")
        for place in self.answered:
            if not counted[place] and place not in lost:
                self.problem(f"{_named(place)} was answered, and is not counted")
        for row in store.rows("dead_letter"):
            self.problem(f"a record was put aside: {row['reason']}")
        for workspace in (1, 2):
            self._check_numbers(store, workspace, counted)
        if self.problems:
            raise Broken("\n".join(self.problems))

    def _counted(self, store: Store) -> Counter[Any]:
        counted: Counter[Any] = Counter()
        for row in store.rows("event"):
            counted[row["workspace"], row["at"]] += 1
        for row in store.rows("message"):
            counted[row["workspace"], row["id"].bytes] += 1
        for row in store.rows("waiting"):
            counted[known_by(records.decode(records.join([row["record"]]))[0])] += 1
        return counted

    def _check_numbers(self, store: Store, workspace: int, counted: Counter[Any]) -> None:
        told = [self.asked[place] for place in counted if place in self.asked and place[0] == workspace]
        model = Model([(one, "") for one in told])
        series = {row["id"]: row for row in store.rows("series")}
        for rollup, expected in ((ACTIVITY, model.activity), (CREATED, model.created), (SENT, model.sent)):
            self._check_rollup(store, workspace, rollup, expected, series)
        first = {
            (row["message"].bytes, int(row["kind"])): row["at"]
            for row in store.rows("engagement")
            if row["workspace"] == workspace and row["at"] != NEVER
        }
        self._same("first engagements", first, model.first)
        states = {
            row["id"].bytes: [row["state"], row["sent_at"], row["delivered_at"]]
            for row in store.rows("message")
            if row["workspace"] == workspace
        }
        self._same("states", states, {message: model.progress[message] for message in model.registered})
        history = Counter(
            (row["message"].bytes, row["at"], row["type"], row["verdict"])
            for row in _history(store)
            if row["workspace"] == workspace and row["counted"]
        )
        self._same("history", history, model.history)
        self._check_links(store, workspace)
        self._check_reasons(store, workspace)
        self._check_campaigns(store, workspace)
        self._check_live(store, workspace)

    def _check_rollup(
        self, store: Store, workspace: int, rollup: Rollup, expected: Counts, series: dict[int, Any]
    ) -> None:
        for tier in rollup.tiers:
            wanted: Counts = Counter()
            for (campaign, domain, start, name), n in expected.items():
                wanted[campaign, domain, start // tier.seconds * tier.seconds, name] += n
            found: Counts = Counter()
            sums: Counter[Any] = Counter()
            totals: Counter[Any] = Counter()
            for row in store.rows(tier.table):
                if row["workspace"] != workspace:
                    continue
                start = row["bucket"] // SECOND
                for name in rollup.counters:
                    n = row.get(name, 0)
                    if row["series"] == TOTAL:
                        totals[start, name] += n
                    else:
                        sums[start, name] += n
                        found[series[row["series"]]["campaign"], series[row["series"]]["domain"], start, name] += n
            self._same(f"totals of {tier.table}", totals, sums if tier.has_total else {})
            self._same(tier.table, found, wanted)

    def _check_links(self, store: Store, workspace: int) -> None:
        urls = {row["id"]: row["text"] for row in store.rows("link") if row["workspace"] == workspace}
        for tier in LINKS.tiers:
            width = tier.seconds * SECOND
            expected: Counter[Any] = Counter()
            for row in _history(store):
                if row["workspace"] == workspace and row["type"] == EventType.CLICKED and row["url"] and row["counted"]:
                    name = "machine_clicks" if row["verdict"] == 3 else "human_clicks"
                    expected[row["at"] - row["at"] % width, row["series"], row["url"], name] += 1
            found: Counter[Any] = Counter()
            for row in store.rows(tier.table):
                if row["workspace"] == workspace:
                    for name in LINKS.counters:
                        found[row["bucket"], row["series"], urls[row["link"]], name] += row[name]
            self._same(tier.table, found, expected)

    def _check_reasons(self, store: Store, workspace: int) -> None:
        (tier,) = REASONS.tiers
        found: Counter[Any] = Counter()
        for row in store.rows(tier.table):
            if row["workspace"] == workspace and row["series"] != TOTAL:
                found[row["bucket"], row["series"]] += row["bounced"]
        expected: Counter[Any] = Counter()
        for row in _history(store):
            if row["workspace"] == workspace and row["type"] == EventType.BOUNCED:
                expected[row["at"] - row["at"] % (tier.seconds * SECOND), row["series"]] += 1
        self._same(tier.table, found, expected)

    def _check_campaigns(self, store: Store, workspace: int) -> None:
        sent: dict[str, int] = {}
        series = {row["id"]: row["campaign"] for row in store.rows("series")}
        for row in store.rows("message"):
            campaign = series[row["series"]] if row["campaign"] is None else row["campaign"]
            if row["workspace"] == workspace and campaign and row["sent_at"] is not None:
                sent[campaign] = min(row["sent_at"], sent.get(campaign, row["sent_at"]))
        found = {row["id"]: row["sent_at"] for row in store.rows("campaign") if row["workspace"] == workspace}
        self._same("campaigns", {key: at for key, at in found.items() if at is not None}, sent)

    def _check_live(self, store: Store, workspace: int) -> None:
        expected: Counter[str] = Counter()
        for row in store.rows("activity_1d"):
            if row["workspace"] == workspace and row["series"] == TOTAL:
                for name, of in LIVE.items():
                    expected[name] += sum(row.get(one, 0) for one in of)
        rows = [row for row in store.rows("live_total") if row["workspace"] == workspace]
        self._same("live totals", Counter({name: sum(row[name] for row in rows) for name in LIVE}), expected)

    def _same(self, what: str, found: Any, expected: Any) -> None:
        found = {key: value for key, value in found.items() if value}
        expected = {key: value for key, value in expected.items() if value}
        if found != expected:
            more = {key: value for key, value in found.items() if expected.get(key) != value}
            less = {key: value for key, value in expected.items() if found.get(key) != value}
            self.problem(f"{what}: found {more}, and should be {less}")


def known_by(record: Record) -> tuple[int, Any]:
    """What nothing else in the world has: a message's id, or the time of what happened."""
    return record.workspace, record.message if isinstance(record, Registration) else record.at


def unshown(store: Store, redis: Redis) -> Iterator[str]:
    """Live totals that Redis does not show as they are."""
    for row in store.rows("live_total"):
        said = redis.hashes.get(streams.live(row["workspace"]).encode(), {}).get(str(row["shard"]).encode())
        told = None if said is None else live_totals.decode(said)
        if told is None or any(getattr(told, name) != row[name] for name in LIVE):
            yield f"the live totals of workspace {row['workspace']}, shard {row['shard']}, to be published"


def _history(store: Store) -> list[Any]:
    links, agents = store.tables.get("link", {}), store.tables.get("user_agent", {})
    return [shown(row, links, agents) for row in store.rows("event")]


def _records_of(fields: list[bytes]) -> list[Record]:
    return records.decode(fields[fields.index(records.RECORDS) + 1])


def _named(place: Any) -> str:
    workspace, what = place
    if isinstance(what, bytes):
        return f"message {what.hex()} of workspace {workspace}"
    return f"what happened at {what} in workspace {workspace}"


def _shards(transaction: Transaction) -> str:
    return ", ".join(f"shard {shard} (epoch {epoch})" for shard, epoch in transaction.moved) or "no shard"


def _order(position: str) -> tuple[int, int]:
    milliseconds, _, number = position.partition("-")
    return int(milliseconds), int(number or 0)
