"""The history's slim rows (ADR 0051): old rows, of rollups too, beside them, texts beyond the bound, bytes."""

import asyncio
import io
import random
import re
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from postmeter.aggregator import refreshed
from postmeter.aggregator.store import user_agents
from postmeter.query.exports.rows.history import _QUERIES as EXPORTS
from postmeter.shared.apis.privacy import subject_requests
from postmeter.shared.auth import api_keys
from postmeter.shared.storage import migrate, partitions, verdict_reasons
from postmeter.shared.storage.rollups import CREATED, ROLLUPS, TOTAL, Rollup, Tier
from postmeter.shared.stream.events import EventType, Mark
from postmeter.shared.stream.records import Mail, Record
from tests import sealing
from tests.aggregation import AT, SECOND, bench, event, hit, message, registration
from tests.bench.cases.table import cases
from tests.bench.dataset import Dataset
from tests.integration.flushes import Side, crowd, sides
from tests.integration.running_query import Workspaces, query_service, sealed, workspaces
from tests.older_schema import first_steps, migrate_up_to
from tests.waiting import until

MESSAGES = 12
VARIANTS: list[dict[str, Any]] = [
    {},
    {"tags": ["a", "b"]},
    {"tags": [], "campaign": "", "template": "", "provider": ""},
    {"from_address": "Shop <sales@shop.example>", "provider_account": "second"},
    {"to_hash": "somebody"},
]
"""What messages may say that their series does not, or not as it does (ADR 0070)."""
OLD = "workspace, message, at, received_at, type, series, bounce, verdict, verdict_reason, reason, url, user_agent, ip,"
OLD += " claimed_at, counted, source"
"""The columns of the history before migration 0020."""
COPIED = ("domain", "campaign", "series", "message", "engagement", "link", "live_total", "unregistered", "workspace")
COUNTED = {tier.table: rollup.counters for rollup in ROLLUPS for tier in rollup.tiers}
SLIM = "SELECT count(*) FROM message WHERE campaign IS NULL AND to_hash IS NULL"
MAIL = Mail("src_1", "", "", "", "", "", "", "", [])
ASKING = sealed(1, "super_admin", workspace_id="one", scopes=list(api_keys.SCOPES))
LONG = b"A client that says much about itself " * 20


def first_part() -> list[Record]:
    """Mail and what happened to it, as the version before would have counted it."""
    noise = random.Random(7)
    scanned = [hit(0, AT + n, url=f"https://a.example/{n}", user_agent=b"Firefox") for n in range(2)]
    told = {"provider": "SES", "provider_message": "ses-1", "mail": MAIL, "user_agent": LONG, "ip": "2001:db8:1:2::3"}
    return [
        *(registration(n, links=4, created=AT - n * SECOND, **VARIANTS[n % len(VARIANTS)]) for n in range(MESSAGES)),
        *crowd(noise, MESSAGES),
        *scanned,
        hit(1, AT + 5, url="https://a.example/", mark=Mark.HEAD),
        hit(1, AT + 4 * SECOND, url="https://a.example/x"),
        hit(2, AT + 6, prefetch=True, ip="::ffff:198.51.100.7"),
        hit(2, AT - 900 * 86400 * SECOND, user_agent=b"GoogleImageProxy", ip="nowhere"),
        event(EventType.BOUNCED, 3, AT + 7, bounce=1, reason="550 no such user", received=AT + SECOND),
        event(EventType.SENT, None, AT, **told),
        event(EventType.OPENED, None, AT + 8, **told),
        event(EventType.CLICKED, None, AT + 9, **told, url="https://a.example/told"),
    ]


def second_part() -> list[Record]:
    """What changes verdicts and messages of the first part, and more of the same."""
    noise = random.Random(8)
    return [
        *(hit(0, AT + 2 + n, url=f"https://a.example/{n + 2}", user_agent=b"Firefox") for n in range(2)),
        hit(1, AT + 5 + SECOND, url="https://a.example/x", mark=Mark.HONEYPOT),
        registration(MESSAGES, provider="SES", provider_message="ses-1"),
        registration(MESSAGES + 1, created=AT - 3 * SECOND),
        *crowd(noise, MESSAGES),
    ]


def third_part() -> list[Record]:
    """What comes when all is migrated: to the same messages, and in the same buckets; and messages of a new series."""
    found = [registration(MESSAGES + 2 + n, created=AT - 4 * SECOND, **of) for n, of in enumerate(VARIANTS)]
    fresh = [registration(MESSAGES + 7 + n, template="new", to_hash=f"{1:064x}", tags=["a"]) for n in range(2)]
    clicked = hit(1, AT + 90 * SECOND, url="https://a.example/x")
    return [clicked, *found, *fresh, *crowd(random.Random(9), MESSAGES)]


async def copy(old: "asyncpg.Connection[asyncpg.Record]", new: "asyncpg.Connection[asyncpg.Record]") -> None:
    """What the tables hold, in the shape that they had before."""
    for table in (*COPIED, *COUNTED, "event"):
        named = "SELECT column_name FROM information_schema.columns WHERE table_name = $1 ORDER BY ordinal_position"
        columns = OLD.split(", ") if table == "event" else [row[0] for row in await new.fetch(named, table)]
        source = {"event": "history", "message": "mail"}.get(table, table)
        counters = COUNTED.get(table, ())
        picked = (f"coalesce({name}, 0)" if name in counters else name for name in columns)
        rows = io.BytesIO()
        await old.copy_from_query(f"SELECT {', '.join(picked)} FROM {source}", output=rows, format="binary")
        rows.seek(0)
        await new.execute(f"DELETE FROM {table}")
        await new.copy_to_table(table, source=rows, columns=columns, format="binary")
    for table in ("series", "link"):
        await new.execute("SELECT setval(pg_get_serial_sequence($1, 'id'), 10000)", table)
    seconds, sums = CREATED.tiers[0].table, ", ".join(f"sum({name})" for name in CREATED.counters)
    await new.execute(
        f"INSERT INTO {seconds} (workspace, series, bucket, {', '.join(CREATED.counters)})"
        f" SELECT workspace, {TOTAL}, bucket, {sums} FROM {seconds} GROUP BY workspace, bucket"
    )
    for rollup, tier in leaving():
        await new.execute(f"INSERT INTO {tier.table} ({columns_of(rollup)}) {in_hours(rollup)}")


def leaving() -> list[tuple[Rollup, Tier]]:
    return [(rollup, tier) for rollup in ROLLUPS for tier in rollup.leaving]


def columns_of(rollup: Rollup) -> str:
    return ", ".join(("workspace", "series", "bucket", *(rollup.key or ())[:1], *rollup.counters))


def in_hours(rollup: Rollup) -> str:
    """What its rows by the hour, which the version before reads (ADR 0069), are by its quarter-hours."""
    (quarters,) = (tier.table for tier in rollup.tiers if tier.seconds == 900)
    keys = ", ".join(("workspace", "series", "date_bin('1 hour', bucket, 'epoch')", *(rollup.key or ())[:1]))
    sums = ", ".join(f"coalesce(sum({name}), 0)" for name in rollup.counters)
    return f"SELECT {keys}, {sums} FROM {quarters} GROUP BY {keys}"


async def check_hours(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    for rollup, tier in leaving():
        shown = [
            name if name not in rollup.counters else f"coalesce({name}, 0)" for name in columns_of(rollup).split(", ")
        ]
        hours = await connection.fetch(f"SELECT {', '.join(shown)} FROM {tier.table}")
        assert len(hours) > 1
        assert {*hours} == {*await connection.fetch(in_hours(rollup))}, tier.table


async def kept(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[str, list[str]]:
    """Everything that is told of the messages, but for the numbers of series and links, which may be others."""
    asked = {
        "history": f"SELECT {OLD.replace('series, ', '')} FROM history",
        "message": "SELECT id, state, sent_at, delivered_at FROM message",
        "engagement": "SELECT message, kind, at FROM engagement",
    }
    for rollup in ROLLUPS:
        # What was delivered before there was this counter is not in it.
        sums = [f"coalesce(sum({name}), 0)" for name in rollup.counters if name != "trackable"]
        some = " OR ".join(f"{one} <> 0" for one in sums)
        for tier in rollup.tiers:
            rows = tier.table if tier.has_total else f"{tier.table} WHERE series <> 0"
            asked[tier.table] = f"SELECT bucket, {', '.join(sums)} FROM {rows} GROUP BY bucket HAVING {some}"
    return {name: sorted(repr(tuple(row)) for row in await connection.fetch(query)) for name, query in asked.items()}


async def answers(dsn: str, redis_url: str) -> list[Any]:
    """What every endpoint that reads says, two of them of every message, and what an export of the history holds."""
    now = datetime.fromtimestamp(AT / SECOND, UTC) + timedelta(days=20)
    said: list[Any] = []
    known = Dataset(
        events=100,
        days=90,
        begin=now - timedelta(days=90),
        end=now,
        workspace=1,
        workspace_id="one",
        api_key="",
        pepper="",
        password="",
        campaigns=["spring", "none", "neither"],
        message=str(uuid.UUID(bytes=message(0))),
    )
    async with workspaces(dsn) as here, query_service(here, redis_url, now) as url, sealing.session() as session:
        for case in cases(known):
            method, path = case.endpoint[0], url + case.path
            async with session.request(method, path, json=case.body, headers=ASKING) as answer:
                told = await answer.json()
                told.pop("meta", None)  # with the time of the answer
                said.append((case.name, answer.status, told))
        for n in range(MESSAGES + 9):
            identity = uuid.UUID(bytes=message(n))
            for path in (f"/v1/messages/{identity}/events", f"/v1/messages/{identity}"):
                async with session.get(url + path, headers=sealed(1)) as answer:
                    said.append((path, answer.status, (await answer.json()).get("data")))
            for page in range(1, 5):
                async with session.get(f"{url}/v1/messages?limit=4&page={page}", headers=ASKING) as answer:
                    said.append((f"page {page}", answer.status, await answer.json()))
        for one in (f"{0:064x}", f"{1:064x}", f"{2:064x}", f"{MESSAGES:064x}"):
            async with session.post(
                url + subject_requests.EXPORT_PATH, json={"to_hash": one}, headers=ASKING
            ) as answer:
                said.append((f"all of {one}", answer.status, await answer.json()))
        said += [await since(here, redis_url, n) for n in (0, 3, 8)]
        for query, parameters in (("messages", (None, None)), ("events", (None,))):
            rows = await here.pool.fetch(EXPORTS[query], 1, now - timedelta(days=400), now, *parameters)
            said.append((query, 200, sorted(repr([v for k, v in row.items() if k != "series"]) for row in rows)))
        rows = await here.pool.fetch(EXPORTS["messages"], 1, now - timedelta(days=400), now, ["spring"], None)
        said.append(("messages of a campaign", 200, [(row["id"], row["to_hash"]) for row in rows]))
    return said


async def since(here: Workspaces, redis_url: str, seconds: int) -> Any:
    """What Krafter says of the messages that were created in a week that begins so many seconds before AT."""
    now = datetime.fromtimestamp(AT // SECOND - seconds, UTC) + timedelta(days=7)
    async with (
        query_service(here, redis_url, now) as url,
        sealing.session() as session,
        session.get(f"{url}/api/v1/mail/stats?period=7d", headers=ASKING) as answer,
    ):
        return f"since {seconds}", answer.status, await answer.json()


async def totals_of_seconds(connection: "asyncpg.Connection[asyncpg.Record]") -> set[tuple[Any, ...]]:
    """Where the seconds' sums of all series, which the version before reads (ADR 0066), are not what series say."""
    sums = ", ".join(f"coalesce(sum({name}), 0)" for name in CREATED.counters)
    query = f"SELECT bucket, {sums} FROM {CREATED.tiers[0].table} WHERE (series = 0) = $1 GROUP BY bucket"
    totals, series = [{tuple(row) for row in await connection.fetch(query, whole)} for whole in (True, False)]
    return totals ^ series


async def differing(one: str, other: str, redis_url: str) -> list[Any]:
    """What two databases answer differently."""
    pairs = zip(await answers(one, redis_url), await answers(other, redis_url), strict=True)
    return [pair for pair in pairs if pair[0] != pair[1]]


async def count(side: Side, found: list[Record]) -> None:
    for record in found:
        await side.flush([record])


async def count_meanwhile(dsn: str, side: Side, found: list[Record]) -> None:
    """Do both steps while these are counted: the first of them, a click, while the hours are being dropped."""
    first, *rest = found
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = to_regclass('link_activity_1h')"
    connection = await asyncpg.connect(dsn)

    async def waits(task: "asyncio.Task[Any]", count: int) -> bool:
        return task.done() or await connection.fetchval(query) >= count

    async with connection.transaction():
        await connection.execute("LOCK TABLE link_activity_1h IN ROW EXCLUSIVE MODE")  # as a flush has it
        migrating = asyncio.create_task(migrate.migrate(dsn))
        await until(lambda: waits(migrating, 1))
        flushing = asyncio.create_task(side.flush([first]))
        await until(lambda: waits(flushing, 2))
    await connection.close()
    await migrating
    try:
        await flushing
    except asyncpg.UndefinedTableError:
        await side.flush([first])  # as a worker does
    await count(side, rest)


@pytest.mark.parametrize(("bound", "steps"), [("0020", [True, True]), ("0038", [False, True])])
async def test_an_old_database_reads_and_counts_on_as_a_new_one(
    postgres_dsn: str,
    redis_url: str,
    empty_postgres_dsn: str,
    bound: str,
    steps: list[bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its rows of before beside new ones; of the version before also between the steps of its migration.

    steps: what is migrated before each part, the first step (False) or both.
    """
    monkeypatch.setattr(refreshed, "REFRESH_SECONDS", 0.0)
    before = empty_postgres_dsn
    await migrate_up_to(before, bound)
    old = await asyncpg.connect(before)
    async with bench(postgres_dsn, redis_url) as at, bench(before, redis_url) as upgraded:
        await at.db.execute("INSERT INTO workspace (id, name) VALUES ('one', '')")
        async with sides(at, 1) as (side,):
            await count(side, first_part())
            await copy(at.db, old)
            was = sorted(repr(tuple(row)) for row in await old.fetch(f"SELECT {OLD} FROM event"))
            await (migrate.migrate if steps[0] else first_steps)(before)
            assert sorted(repr(tuple(row)) for row in await old.fetch(f"SELECT {OLD} FROM history")) == was
            assert len(was) > 60
            assert await differing(postgres_dsn, before, redis_url) == []
            async with sides(upgraded, 1) as (other,):
                for part, after in zip((second_part(), third_part()), steps, strict=True):
                    await count(side, part)
                    if after and not steps[0]:
                        await count_meanwhile(before, other, part)
                    else:
                        await count(other, part)
                    for one in (side, other):
                        await one.adopt()
                        await one.sweep()
                    assert await kept(old) == await kept(at.db)
                    assert await differing(postgres_dsn, before, redis_url) == []
                    assert bool(await totals_of_seconds(old)) is after
                    assert bool(await old.fetchval(SLIM)) is after
                    if not after:
                        await check_hours(old)
        reasons = await old.fetchval("SELECT array_agg(DISTINCT verdict_reason) FROM history")
        assert {*reasons} >= {"burst", "near_honeypot", "own_tracking_counts", "head", "google_image_proxy"}
        said = await answers(postgres_dsn, redis_url)
        unanswered = [one[0] for one in said if one[1] != 200]
        # Of the bench's domain and campaigns.
        assert all("of a domain" in name or "compare" in name for name in unanswered), unanswered
        zeros = "SELECT count(*) FILTER (WHERE human_clicks = 0), count(*) FILTER (WHERE sent = 0) FROM activity_1d"
        (new_ones,), (old_ones,) = await at.db.fetch(zeros), await old.fetch(zeros)
        assert tuple(new_ones) == (0, 0)
        assert min(old_ones) > 0
    await old.close()


async def test_texts_beyond_the_bound_and_of_lists_of_one_s_own_stand_as_they_are(
    postgres_dsn: str, redis_url: str
) -> None:
    agents = [b"Thunderbird", b"Firefox", b"Kontact", b"\0", b"\xff"]
    async with bench(postgres_dsn, redis_url) as at:
        at.settings = replace(at.settings, user_agent_limit=2, link_limit=1)
        async with sides(at, 1) as (side,):
            found = [hit(1, AT + n, user_agent=agent, url=f"https://a.example/{n}") for n, agent in enumerate(agents)]
            await side.flush([registration(1), *found, hit(1, AT + 9, user_agent=b"", ip="2001:db8:1::9")])
        rows = await at.db.fetch("SELECT user_agent, url, ip FROM history ORDER BY at")
        shown = ["Thunderbird", "Firefox", "Kontact", None, "\ufffd"]
        assert [row["user_agent"] for row in rows] == [*shown, None]
        assert [row["url"] for row in rows] == [f"https://a.example/{n}" for n in range(5)] + [None]
        assert {row["ip"] for row in rows} == {"203.0.113.0", "2001:db8:1::"}
        assert await at.value(
            "SELECT array[count(user_agent_id), count(user_agent), count(link), count(url)] FROM event"
        ) == [2, 2, 1, 4]
        assert await at.value("SELECT count(*) FROM user_agent") == 2


async def test_a_user_agent_is_forgotten_with_the_last_history_that_may_name_it(
    postgres_dsn: str, redis_url: str
) -> None:
    today = datetime.now(UTC).date()
    async with bench(postgres_dsn, redis_url) as at, sides(at, 2) as (one, other):
        await one.flush([registration(1), hit(1)])
        assert await at.value("SELECT used_in FROM user_agent") == today.replace(day=1)
        last_used = partitions.add_months(today, -28)
        await at.db.execute("UPDATE user_agent SET used_in = $1", last_used)
        await user_agents.drop_unused(at.db, today, 26)
        assert await at.value("SELECT count(*) FROM user_agent") == 1
        # Another process names it again, and by that keeps it.
        await other.flush([hit(1, AT + SECOND)])
        await user_agents.drop_unused(at.db, today, 24)
        assert await at.value("SELECT array_agg(user_agent) FROM history") == ["Thunderbird"] * 2
        await at.db.execute("UPDATE user_agent SET used_in = $1", last_used)
        await user_agents.drop_unused(at.db, today, 24)
        assert await at.value("SELECT count(*) FROM user_agent") == 0


async def test_an_ordinary_open_takes_at_most_120_bytes(postgres_dsn: str, redis_url: str) -> None:
    """With its indexes; opens of random messages, among them those of a proxy."""
    noise = random.Random(1)
    agents = [b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Version/%d" % n for n in range(50)]
    agents += [b"Mozilla/5.0 (Windows NT 5.1) Firefox/11.0 (via ggpht.com GoogleImageProxy)"] * 25

    def opened() -> Record:
        ip = ".".join(str(noise.randrange(1, 224)) for _ in range(4))
        when = AT + noise.randrange(86400 * SECOND)
        return hit(noise.randrange(2000), when, user_agent=noise.choice(agents), ip=ip)

    async with bench(postgres_dsn, redis_url) as at, sides(at, 1) as (side,):
        # Where autovacuum comes by between two flushes, the second begins new pages.
        await at.db.execute(
            f"ALTER TABLE event_{datetime.fromtimestamp(AT / SECOND, UTC):%Y%m} SET (autovacuum_enabled = off)"
        )
        await side.flush([registration(n) for n in range(2000)])
        for _ in range(4):
            await side.flush([opened() for _ in range(2500)])
        # Without the index over times: a few pages, however many rows.
        held = (
            "SELECT sum(pg_relation_size(oid)) FROM pg_class WHERE relname ~ '^event_[0-9]+(_postmeter_place.*)?$'"
            " AND pg_relation_size(oid) > 8192"
        )
        assert await at.value(held) / 10_000 <= 120
        assert await at.value("SELECT count(DISTINCT verdict_reason) FROM history") == 1


def test_each_reason_that_is_told_has_a_number() -> None:
    """Those of docs/verdicts.md, but for networks', which are whatever a list calls them."""
    page = (Path(__file__).parents[3] / "docs" / "verdicts.md").read_text()
    table = page.partition("| reason | verdict |")[2].partition("\n\n")[0]
    first = [line.split("|")[1] for line in table.splitlines()[2:]]
    told = {name for cell in first for name in re.findall(r"`([^`]+)`", cell)}
    assert told - {"network:..."} == {*verdict_reasons.NAMES}
    assert len({*verdict_reasons.NAMES}) == len(verdict_reasons.NAMES)
