"""The data set of the benchmark of reads: messages and events, and from them every table that is read.

Run: .venv/bin/python -m tests.bench.dataset --data DIR [--events 20000000] [--days 90] [--campaigns 200]

Messages and their events are made by SQL from hashes of their numbers, so that the same arguments give the same
data set; then states, first engagements and each rollup are derived from them by SQL, so that all agree. The
tables hold what the aggregator would have written (but nothing of its own: no dedup, no shards).
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import msgspec

from postmeter.aggregator import bounces
from postmeter.aggregator.upkeep import day_sums
from postmeter.cli.local.servers.binaries import find_postgres, find_redis
from postmeter.cli.local.servers.postgres_server import PostgresServer
from postmeter.cli.local.servers.redis_server import RedisServer
from postmeter.shared.auth import api_keys
from postmeter.shared.auth.secret import Secret
from postmeter.shared.storage import verdict_reasons
from postmeter.shared.storage.migrate import migrate
from postmeter.shared.storage.rollups import ACTIVITY, CREATED, LINKS, SENT, STATE_COUNTERS, Rollup
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream.events import BounceType, EventType, Verdict

QUERIES = Queries("tests.bench", "dataset.sql")
NUMBERS = {member.name: int(member) for kind in (EventType, BounceType, Verdict) for member in kind}
EVENTS_PER_MESSAGE = 2.83
INBOUND_SHARE = 0.03
CHUNK = 250_000
HARD_REASONS = [
    "550 5.1.1 The email account that you tried to reach does not exist",
    "550 5.1.2 Host unknown",
    "554 5.7.1 Message rejected as spam",
    "550 5.1.1 user unknown",
    "550 5.2.1 mailbox disabled",
]
SOFT_REASONS = [
    "452 4.2.2 The mailbox is full",
    "421 4.4.2 Connection timed out",
    "452 4.3.1 Insufficient storage",
    "452 4.2.2 over quota",
    "451 4.7.1 Greylisted, try again",
]
"""What servers say, from frequent to rare."""
ACTIVITY_WHAT = {
    "sent": 300, "delivered": 500, "deferred": 400, "hard_bounced": 610, "soft_bounced": 620, "failed": 700,
    "complained": 800, "unsubscribed": 900, "unique_unsubscribed": 10004, "human_opens": 1001, "proxy_opens": 1002,
    "machine_opens": 1003, "unique_opens": 10001, "human_clicks": 1101, "machine_clicks": 1103,
    "unique_clicks": 10002, "replies": 1200, "unique_replies": 10003, "received": 1300,
}  # fmt: skip
"""Counter: which rows of the query `activity` it counts."""
FILE = "dataset.json"
ZONE = "America/New_York"


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """What the requests need to know. end: nothing happened from then on."""

    events: int
    days: int
    begin: datetime
    end: datetime
    workspace: int
    workspace_id: str
    api_key: str
    pepper: str
    password: str
    campaigns: list[str]
    message: str


@contextmanager
def postgres(folder: Path, password: str, settings: dict[str, str] | None = None) -> Iterator[PostgresServer]:
    """The Postgres of this folder, with the settings of local mode and these on top."""
    server = PostgresServer(
        binaries=find_postgres(),
        data=folder / "postgres",
        sockets=folder,
        log=folder / "postgres.log",
        password=password,
        settings=settings,
    )
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def stores(folder: Path, events: int) -> Iterator[tuple[Dataset, PostgresServer, RedisServer]]:
    """The data set of this folder, made if it is not there, as this version has it; and a Redis."""
    data = read(folder) or load(folder, events, 90, 200)
    redis = RedisServer(
        binary=find_redis(), data=folder / "redis", sockets=folder, log=folder / "redis.log", durable=False
    )
    with postgres(folder, data.password) as server:
        asyncio.run(_up_to_date(server.dsn()))
        try:
            redis.start()
            yield data, server, redis
        finally:
            redis.stop()


async def _up_to_date(dsn: str) -> None:
    """Give it this version's tables, and sum up the days that are due, as an aggregator would have done long ago."""
    await migrate(dsn)
    connection = await asyncpg.connect(dsn)
    try:
        # A data set has just been made, but its days are as old as they say.
        await connection.execute(
            "UPDATE activity_day SET due = now() WHERE state = 0 AND day < now() - interval '25 hours'"
        )
        days = 0
        while found := await day_sums.once(connection):
            days += found
        if days:
            _say(f"{days} days summed up")
            await connection.execute("VACUUM (ANALYZE) activity_by_1h, activity_by_1d, activity_day")
    finally:
        await connection.close()


def read(folder: Path) -> Dataset | None:
    """The data set that was loaded into this folder."""
    file = folder / FILE
    return msgspec.json.decode(file.read_bytes(), type=Dataset) if file.exists() else None


def load(folder: Path, events: int, days: int, campaigns: int) -> Dataset:
    """Load a data set into this new folder."""
    folder.mkdir(mode=0o711, parents=True)
    password = secrets.token_hex(16)
    # A crash while loading costs nothing; an hour of flushing does.
    fast = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "max_wal_size": "4GB"}
    fast |= {"work_mem": "512MB", "maintenance_work_mem": "512MB", "autovacuum": "off"}
    with postgres(folder, password, fast) as server:
        made = asyncio.run(_load(server.dsn(), password, events, days, campaigns))
    (folder / FILE).write_bytes(msgspec.json.encode(made))
    (folder / FILE).chmod(0o600)
    return made


async def _load(dsn: str, password: str, events: int, days: int, campaigns: int) -> Dataset:
    await migrate(dsn)
    connection = await asyncpg.connect(dsn)
    loader = Loader(connection, days)
    try:
        key, pepper = await loader.owner()
        await loader.dimensions(campaigns)
        await loader.messages(round(events / EVENTS_PER_MESSAGE), campaigns)
        await loader.rollups()
        await loader.show()
        names = await connection.fetch("SELECT id FROM campaign WHERE workspace = $1 ORDER BY id", loader.workspace)
        # One that sends all the time, and so has mail in every window.
        message = await connection.fetchval(QUERIES["sample"], loader.workspace, names[0]["id"])
        return Dataset(
            events=await connection.fetchval("SELECT count(*) FROM event"),
            days=days,
            begin=loader.begin,
            end=loader.end,
            workspace=loader.workspace,
            workspace_id=Loader.NAME,
            api_key=key,
            pepper=pepper.reveal(),
            password=password,
            campaigns=[row["id"] for row in names],
            message=str(message),
        )
    finally:
        await connection.close()


class Loader:
    """Fills one workspace. begin, end: the time in which everything happens."""

    NAME = "bench"

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record], days: int) -> None:
        self._connection = connection
        self._days = days
        self.end = datetime.now(UTC)
        self.begin = self.end - timedelta(days=days)
        self.workspace = 0

    async def owner(self) -> tuple[str, Secret]:
        """Make the workspace and a key that may read everything."""
        await self._connection.execute(QUERIES["prepare"])
        self.workspace = await self._connection.fetchval(QUERIES["workspace"], self.NAME, ZONE, self.begin)
        key_id, key = api_keys.new()
        pepper = Secret(secrets.token_hex(16))
        await self._connection.execute(
            "INSERT INTO api_key (id, workspace, hmac, role, scopes) VALUES ($1, $2, $3, 'super_admin', $4)",
            key_id,
            self.workspace,
            api_keys.digest(key, pepper),
            list(api_keys.SCOPES),
        )
        return key, pepper

    async def dimensions(self, campaigns: int) -> None:
        """Series, campaigns, domains, reasons."""
        await self._do("slots", campaigns)
        await self._do("series", self.workspace)
        await self._do("number_slots", self.workspace)
        await self._do("campaigns", self.workspace, self.begin)
        await self._do("domains", self.workspace, self.begin)
        await self._do("sending_ips", self.workspace)
        reasons = [(text, bounces.normalise(text, BounceType.HARD)) for text in HARD_REASONS]
        reasons += [(text, bounces.normalise(text, BounceType.SOFT)) for text in SOFT_REASONS]
        await self._connection.executemany("INSERT INTO bench.reason VALUES ($1, $2)", reasons)

    async def messages(self, count: int, campaigns: int) -> None:
        """Messages with their history and engagements, a chunk at a time, then inbound mail."""
        for first in range(1, count + 1, CHUNK):
            last = min(first + CHUNK - 1, count)
            await self._connection.execute("TRUNCATE bench.message, bench.happened")
            await self._do("plan", first, last, count, self.begin, self._days, campaigns, self.end, quiet=True)
            await self._do("happen", self.end, HARD_REASONS, SOFT_REASONS, quiet=True)
            for name in ("links", "user_agents", "write_messages", "write_engagements"):
                await self._do(name, self.workspace, quiet=True)
            await self._do("write_events", self.workspace, verdict_reasons.NAMES, quiet=True)
            _say(f"messages up to {last:,} of {count:,}")
        await self._do("inbound", round(count * INBOUND_SHARE), self.begin, self._days)
        await self._do("write_inbound", self.workspace)

    async def rollups(self) -> None:
        """Everything that is derived."""
        await self._connection.execute("ANALYZE event, message, engagement")
        what = {name: f"count(*) FILTER (WHERE what = {value})" for name, value in ACTIVITY_WHAT.items()}
        what |= {"spam": "count(*) FILTER (WHERE spam)", "size_bytes": "sum(size_bytes)"}
        # Everything is tracked in full here.
        what |= {"anonymous_opens": "0", "anonymous_clicks": "0", "trackable": what["delivered"]}
        states = {name: f"count(*) FILTER (WHERE state = {n})" for n, name in enumerate(STATE_COUNTERS, 1)}
        await self._do("activity", self.workspace, names=_counted(what, ACTIVITY))
        await self._tiers(ACTIVITY)
        await self._do("created", self.workspace, names=_counted(states, CREATED))
        await self._tiers(CREATED)
        await self._do("sent", self.workspace)
        await self._tiers(SENT)
        await self._do("link_activity", self.workspace)
        await self._tiers(LINKS)
        for name in ("bounce_reasons", "total_reasons", "first_sendings", "live_totals"):
            await self._do(name, self.workspace)
        # As autovacuum would have done it in all that time.
        await self._connection.execute("VACUUM (ANALYZE, FREEZE)")
        await self._connection.execute("CHECKPOINT")

    async def _tiers(self, rollup: Rollup) -> None:
        sums = {name: f"sum({name})" for name in rollup.counters}
        keys = "link, " if rollup is LINKS else ""
        for place, tier in enumerate(rollup.tiers):
            if place > 0:
                names = {"table": tier.table, "finer": rollup.tiers[place - 1].table, "keys": keys}
                await self._do("widen", self.workspace, tier.seconds, names=names | _counted(sums, rollup))
            if tier is rollup.totals:
                await self._do("total", self.workspace, names={"table": tier.table} | _counted(sums, rollup))

    async def show(self) -> None:
        """Print what is in the tables."""
        print("\n| table | rows | MB |\n|---|---|---|")
        for row in await self._connection.fetch(QUERIES["sizes"]):
            print(f"| {row['name']} | {row['rows']:,} | {row['bytes'] / 1e6:,.0f} |")

    async def _do(
        self, name: str, *arguments: object, quiet: bool = False, names: dict[str, str] | None = None
    ) -> None:
        began = time.perf_counter()
        await self._connection.execute(QUERIES[name].format(**NUMBERS, **(names or {})), *arguments)
        if not quiet:
            _say(f"{name} {(names or {}).get('table', '')} {time.perf_counter() - began:.1f} s")


def _counted(expressions: dict[str, str], rollup: Rollup) -> dict[str, str]:
    return {
        "columns": ", ".join(rollup.counters),
        "sums": ", ".join(f"postmeter_sparse(({expressions[counter]})::bigint)" for counter in rollup.counters),
    }


def _say(text: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder that does not exist yet")
    parser.add_argument("--events", type=int, default=20_000_000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--campaigns", type=int, default=200)
    options = parser.parse_args()
    made = load(options.data.absolute(), options.events, options.days, options.campaigns)
    print(f"\n{made.events:,} events")


if __name__ == "__main__":
    main()
