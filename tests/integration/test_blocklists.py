"""Sending IPs in DNSBL zones: a real DNS server on loopback, a real database, one job at a time."""

import asyncio
import io
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import asyncpg
import pytest
import structlog
from click.testing import CliRunner, Result
from prometheus_client import CollectorRegistry

from postmeter.aggregator import moments
from postmeter.aggregator.blocklists import job as blocklists
from postmeter.aggregator.blocklists import lookups, rounds
from postmeter.aggregator.blocklists.job import Job
from postmeter.aggregator.settings import AggregatorSettings
from postmeter.cli.main import main
from postmeter.shared import metrics, postgres
from postmeter.shared.postgres import Pool
from postmeter.shared.secret import Secret
from tests.aggregation import Bench, bench, until
from tests.dns_server import DnsServer, dns_server

ONE, TWO, SIX = "9.1.2.3", "9.1.2.4", "2a00:1450::8a"
ONE_REVERSED, TWO_REVERSED = "3.2.1.9", "4.2.1.9"
SIX_REVERSED = "a.8" + ".0" * 22 + ".0.5.4.1.0.0.a.2"
GOOD, OTHER = "bl.example.net", "dnsbl.example.org"


class World:
    """An aggregator's database, a DNS server, and jobs as each replica runs one."""

    def __init__(self, at: Bench, dns: DnsServer, pool: Pool) -> None:
        self.db = at.db
        self.dns = dns
        self.pool = pool
        self.settings = replace(at.settings, dnsbl_nameservers=f"127.0.0.1:{dns.port}")
        self.registry = CollectorRegistry()
        self.counters = metrics.AggregatorMetrics(self.registry)

    def configured(self, *zones: str, **changes: Any) -> AggregatorSettings:
        return replace(self.settings, dnsbl_zones=Secret(",".join(zones)), **changes)

    def job(self, *zones: str) -> Job:
        return Job(self.pool, self.configured(*zones), self.counters)

    async def add(self, *ips: str, workspace: int = 1) -> None:
        for ip in ips:
            await self.db.execute("INSERT INTO sending_ip (workspace, ip) VALUES ($1, $2)", workspace, ip_address(ip))

    async def make_due(self) -> None:
        await self.db.execute("UPDATE sending_ip SET attempted_at = attempted_at - interval '1 hour'")

    async def listings(self) -> dict[str, list[str]]:
        rows = await self.db.fetch("SELECT ip, listed_in FROM sending_ip ORDER BY workspace, ip")
        return {str(row["ip"]): row["listed_in"] for row in rows}

    async def checked(self) -> set[str]:
        rows = await self.db.fetch("SELECT ip FROM sending_ip WHERE checked_at IS NOT NULL")
        return {str(row["ip"]) for row in rows}

    def lookups(self) -> dict[str, float]:
        name = "postmeter_dnsbl_lookups_total"
        return {
            sample.labels["result"]: sample.value
            for metric in self.registry.collect()
            for sample in metric.samples
            if sample.name == name and sample.value
        }

    def up(self, zone: str, version: int = 4) -> float | None:
        labels = {"zone": zone, "ip_version": str(version)}
        return self.registry.get_sample_value("postmeter_dnsbl_zone_up", labels)


@asynccontextmanager
async def pool_of(settings: AggregatorSettings) -> AsyncIterator[Pool]:
    pool = await postgres.connect(settings, "aggregator", 20.0, moments.prepare, moments.PLANS)
    try:
        yield pool
    finally:
        await pool.close()


@pytest.fixture
async def world(postgres_dsn: str, redis_url: str) -> AsyncIterator[World]:
    async with bench(postgres_dsn, redis_url) as at, dns_server() as dns, pool_of(at.settings) as pool:
        yield World(at, dns, pool)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence of a nameserver costs its real time; here a tenth of a second has to do."""
    monkeypatch.setattr(lookups, "LOOKUP_SECONDS", 0.1)


@pytest.fixture
def logged() -> Iterator[Callable[[], list[tuple[str, str]]]]:
    """Zone and reason of each line about a zone, in order."""
    captured: list[dict[str, Any]] = []

    def capture(_: Any, level: str, entry: Any) -> Any:
        captured.append(dict(entry))
        raise structlog.DropEvent

    structlog.configure(processors=[capture], logger_factory=structlog.PrintLoggerFactory(io.StringIO()))
    yield lambda: [(line["zone"], line.get("reason", "")) for line in captured if "zone" in line]
    structlog.reset_defaults()


async def test_listed_and_not_listed_in_both_families(world: World) -> None:
    world.dns.add_zone(GOOD, ONE_REVERSED, SIX_REVERSED)
    world.dns.add_zone(OTHER, ONE_REVERSED, code="127.0.0.11")
    await world.add(ONE, TWO, SIX)
    assert await world.job(GOOD, OTHER).once() == 3
    assert await world.listings() == {ONE: [GOOD, OTHER], TWO: [], SIX: [GOOD]}
    assert await world.checked() == {ONE, TWO, SIX}
    assert world.lookups() == {"listed": 3, "not_listed": 3}
    assert world.registry.get_sample_value("postmeter_dnsbl_listed_ips") == 2
    newest = await world.db.fetchval("SELECT extract(epoch FROM max(checked_at))::float8 FROM sending_ip")
    assert world.registry.get_sample_value("postmeter_dnsbl_checked_timestamp_seconds") == pytest.approx(newest, abs=1)
    assert world.registry.get_sample_value("postmeter_dnsbl_round_seconds", {}) is not None


async def test_what_the_deliverability_answer_needs_is_in_the_table(world: World) -> None:
    world.dns.add_zone(GOOD, TWO_REVERSED)
    fields = """SELECT count(checked_at) AS ips_checked, max(checked_at) AS last_check,
        coalesce(bool_or(listed_in <> '{}'), false) AS any_ip_blacklisted FROM sending_ip WHERE workspace = 1"""
    await world.add(ONE)
    before = await world.db.fetchrow(fields)
    assert before is not None
    assert tuple(before) == (0, None, False)
    await world.add(TWO, workspace=2)
    assert await world.job(GOOD).once() == 2
    after = await world.db.fetchrow(fields)
    assert after is not None
    assert (after["ips_checked"], after["any_ip_blacklisted"]) == (1, False)
    assert after["last_check"] is not None
    await world.add(TWO)
    assert await world.job(GOOD).once() == 1
    last = await world.db.fetchrow(fields)
    assert last is not None
    assert (last["ips_checked"], last["any_ip_blacklisted"]) == (2, True)


async def test_an_ip_of_two_workspaces_is_asked_about_once(world: World) -> None:
    world.dns.add_zone(GOOD, ONE_REVERSED)
    await world.add(ONE)
    await world.add(ONE, workspace=2)
    assert await world.job(GOOD).once() == 2
    assert world.dns.questions(GOOD)[ONE_REVERSED] == 1
    assert await world.db.fetchval("SELECT count(*) FROM sending_ip WHERE listed_in = $1", [GOOD]) == 2


async def test_an_ip_that_is_delisted_is_free_again(world: World) -> None:
    world.dns.add_zone(GOOD, ONE_REVERSED)
    await world.add(ONE)
    job = world.job(GOOD)
    await job.once()
    assert await world.listings() == {ONE: [GOOD]}
    del world.dns.records[f"{ONE_REVERSED}.{GOOD}"]
    await world.make_due()
    await job.once()
    assert await world.listings() == {ONE: []}
    assert world.registry.get_sample_value("postmeter_dnsbl_listed_ips") == 0


async def test_a_name_without_an_address_is_no_listing(world: World) -> None:
    world.dns.add_zone(GOOD)
    world.dns.without_address.add(f"{ONE_REVERSED}.{GOOD}")
    await world.add(ONE)
    await world.job(GOOD).once()
    assert await world.listings() == {ONE: []}
    assert world.lookups() == {"not_listed": 1}


async def test_a_truncated_answer_is_asked_for_by_tcp(world: World) -> None:
    world.dns.add_zone(GOOD, ONE_REVERSED)
    world.dns.truncated.add(f"{ONE_REVERSED}.{GOOD}")
    await world.add(ONE)
    await world.job(GOOD).once()
    assert await world.listings() == {ONE: [GOOD]}
    assert world.dns.asked_by_tcp == Counter({f"{ONE_REVERSED}.{GOOD}": 1})


@pytest.mark.parametrize("trouble", ["silent", "servfail", "refused"])
@pytest.mark.usefixtures("impatient")
async def test_a_zone_that_falls_silent_keeps_its_last_word(world: World, logged: Any, trouble: Any) -> None:
    world.dns.add_zone(GOOD, ONE_REVERSED)
    world.dns.add_zone(OTHER, TWO_REVERSED)
    await world.add(ONE, TWO)
    job = world.job(GOOD, OTHER)
    await job.once()
    checked = await world.db.fetchval("SELECT min(checked_at) FROM sending_ip")
    assert logged() == []

    world.dns.trouble[GOOD] = trouble
    for _ in range(2):  # Said once, however often it happens.
        await world.make_due()
        await job.once()
    assert await world.listings() == {ONE: [GOOD], TWO: [OTHER]}
    assert await world.db.fetchval("SELECT min(checked_at) FROM sending_ip") > checked
    assert (world.up(GOOD), world.up(OTHER)) == (0, 1)
    assert logged() == [(GOOD, rounds.SILENT)]

    world.dns.trouble[OTHER] = trouble
    await world.make_due()
    checked = await world.db.fetchval("SELECT max(checked_at) FROM sending_ip")
    await job.once()
    assert await world.db.fetchval("SELECT max(checked_at) FROM sending_ip") == checked
    assert await job.once() == 0, "an attempt counts as one, whatever came of it"

    world.dns.trouble.clear()
    await world.make_due()
    await job.once()
    assert logged() == [(GOOD, rounds.SILENT), (OTHER, rounds.SILENT), (GOOD, ""), (OTHER, "")]
    assert world.up(GOOD) == 1


@pytest.mark.usefixtures("impatient")
async def test_look_ups_that_fail_between_others(world: World, logged: Any) -> None:
    world.dns.add_zone(GOOD, ONE_REVERSED)
    world.dns.trouble[f"2.1.9.{GOOD}"] = "servfail"  # All of 9.1.2.x; the test entries answer.
    await world.add(ONE, "9.1.3.1")
    await world.job(GOOD).once()
    assert await world.checked() == {"9.1.3.1"}
    assert world.lookups() == {"failed": 1, "not_listed": 1}
    assert logged() == [(GOOD, rounds.SILENT)]


@pytest.mark.usefixtures("impatient")
async def test_a_zone_that_goes_on_failing_is_asked_no_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "CONCURRENCY", 1)
    world.dns.add_zone(GOOD)
    world.dns.trouble[f"2.1.9.{GOOD}"] = "servfail"
    await world.add(*(f"9.1.2.{last}" for last in range(1, 10)))
    await world.job(GOOD).once()
    assert world.lookups() == {"failed": rounds.PATIENCE, "skipped": 9 - rounds.PATIENCE}
    assert await world.checked() == set()


async def test_what_there_is_no_time_for_waits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "CHUNK_SECONDS", -1)
    world.dns.add_zone(GOOD, ONE_REVERSED)
    await world.add(ONE)
    await world.job(GOOD).once()
    assert world.lookups() == {"skipped": 1}
    assert await world.checked() == set()


@pytest.mark.parametrize("code", ["127.255.255.254", "127.255.255.255", "127.0.0.1", "203.0.113.80"])
async def test_error_codes_are_no_listings(world: World, logged: Any, code: str) -> None:
    world.dns.add_zone(GOOD, ONE_REVERSED, code=code)
    await world.add(ONE)
    await world.job(GOOD).once()
    assert await world.listings() == {ONE: []}
    assert await world.checked() == set(), "the zone said nothing about the IP"
    assert world.lookups() == {"error": 1}
    assert logged() == [(GOOD, rounds.REFUSING)]


async def test_zones_that_fail_the_test_are_left_out(world: World, logged: Any) -> None:
    wild, empty, refusing = "wild.example.net", "empty.example.net", "refusing.example.net"
    world.dns.trouble[wild] = "wild"
    world.dns.records[f"{ONE_REVERSED}.{empty}"] = ["127.0.0.2"]
    world.dns.add_zone(refusing, ONE_REVERSED)
    world.dns.records[f"2.0.0.127.{refusing}"] = ["127.255.255.254"]
    world.dns.add_zone(GOOD)
    await world.add(ONE)
    await world.job(wild, empty, refusing, GOOD).once()
    assert await world.listings() == {ONE: []}
    assert world.lookups() == {"not_listed": 1}
    assert [world.up(zone) for zone in (wild, empty, refusing, GOOD)] == [0, 0, 0, 1]
    assert dict(logged()) == {wild: rounds.WILD, empty: rounds.EMPTY, refusing: rounds.REFUSING}
    assert ONE_REVERSED not in world.dns.questions(wild) | world.dns.questions(empty) | world.dns.questions(refusing)


async def test_a_zone_without_ipv6_is_left_out_for_ipv6_only(world: World) -> None:
    world.dns.add_zone(GOOD, ONE_REVERSED, ipv6=False)
    await world.add(ONE, SIX)
    await world.job(GOOD).once()
    assert await world.listings() == {ONE: [GOOD], SIX: []}
    assert await world.checked() == {ONE}
    assert (world.up(GOOD, 4), world.up(GOOD, 6)) == (1, 0)
    assert SIX_REVERSED not in world.dns.questions(GOOD)


async def test_zones_are_tested_once_a_round_of_many_chunks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocklists, "CHUNK", 2)
    world.dns.add_zone(GOOD, ONE_REVERSED)
    await world.add(*(f"9.1.2.{last}" for last in range(1, 6)), SIX)
    assert await world.job(GOOD).once() == 6
    assert world.dns.questions(GOOD)["2.0.0.127"] == 1
    assert world.dns.questions(GOOD)["1.0.0.127"] == 1
    assert set(world.dns.asked.values()) == {1}
    assert len(await world.checked()) == 6


async def test_a_zone_that_is_not_configured_any_more_has_no_say(world: World) -> None:
    world.dns.add_zone(GOOD, ONE_REVERSED)
    world.dns.add_zone(OTHER, ONE_REVERSED)
    await world.add(ONE)
    await world.job(GOOD, OTHER).once()
    assert await world.listings() == {ONE: [GOOD, OTHER]}
    await world.make_due()
    await world.job(OTHER).once()
    assert await world.listings() == {ONE: [OTHER]}


async def test_a_subscribers_key_is_asked_with_and_shown_nowhere(world: World, logged: Any) -> None:
    key = "abcdefghijklmnopqrstuvwxyz"
    world.dns.add_zone(f"{key}.zen.example.net", ONE_REVERSED)
    world.dns.trouble[f"{key}.other.example.net"] = "servfail"
    await world.add(ONE)
    await world.job(f"{key}.zen.example.net", f"{key}.other.example.net").once()
    assert await world.listings() == {ONE: ["*.zen.example.net"]}
    assert world.up("*.zen.example.net") == 1
    assert logged() == [("*.other.example.net", rounds.SILENT)]


async def test_each_ip_is_due_by_itself(world: World) -> None:
    world.dns.add_zone(GOOD)
    await world.add(ONE)
    job = world.job(GOOD)
    assert await job.once() == 1
    assert await job.once() == 0
    assert await world.job(GOOD).once() == 0, "a restart repeats nothing"
    await world.add(TWO)
    assert await job.once() == 1, "a new one does not wait for the others"
    await world.db.execute("UPDATE sending_ip SET attempted_at = now() - interval '3599 seconds'")
    assert await job.once() == 0
    await world.db.execute(
        "UPDATE sending_ip SET attempted_at = now() - interval '3600 seconds' WHERE ip = $1", ip_address(TWO)
    )
    assert await job.once() == 1
    assert world.dns.questions(GOOD)[ONE_REVERSED] == 1


async def test_of_two_replicas_one_does_the_work(world: World) -> None:
    world.dns.add_zone(GOOD, ONE_REVERSED)
    await world.add(*(f"9.1.2.{last}" for last in range(1, 41)))
    stop = asyncio.Event()
    settings = world.configured(GOOD)
    async with pool_of(settings) as another, asyncio.TaskGroup() as tasks:
        for pool in (world.pool, another):
            counters = metrics.AggregatorMetrics(CollectorRegistry())
            tasks.create_task(blocklists.run(pool, settings, counters, stop, poll=0.001))

        async def all_checked() -> bool:
            return len(await world.checked()) == 40

        await until(all_checked)
        await world.add("9.1.2.50")

        async def again() -> bool:
            return len(await world.checked()) == 41

        await until(again)
        stop.set()
    asked = world.dns.questions(GOOD)
    assert {asked.pop("2.0.0.127"), asked.pop("1.0.0.127")} == {2}, "two rounds"
    assert len(asked) == 41
    assert set(asked.values()) == {1}


async def test_nothing_is_done_while_another_session_holds_the_lock(world: World) -> None:
    world.dns.add_zone(GOOD, ONE_REVERSED)
    await world.add(ONE)
    job = world.job(GOOD)
    assert await world.db.fetchval("SELECT pg_try_advisory_lock($1)", blocklists.LOCK)
    assert await job.once() == 0
    assert not world.dns.asked
    await world.db.execute("SELECT pg_advisory_unlock($1)", blocklists.LOCK)
    assert await job.once() == 1
    assert await world.db.fetchval("SELECT pg_try_advisory_lock($1)", blocklists.LOCK), "given back"


async def test_who_loses_the_lock_stores_nothing(world: World) -> None:
    world.dns.add_zone(GOOD, ONE_REVERSED)
    world.dns.trouble[f"2.1.9.{GOOD}"] = "silent"
    await world.add(ONE)
    working = asyncio.create_task(world.job(GOOD).once())

    async def asked() -> bool:
        return f"{ONE_REVERSED}.{GOOD}" in world.dns.asked

    await until(asked)
    await world.db.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1::bigint::oid",
        blocklists.LOCK & 0xFFFFFFFF,
    )
    world.dns.trouble.clear()
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await working
    assert await world.db.fetchval("SELECT attempted_at FROM sending_ip") is None
    assert await world.job(GOOD).once() == 1
    assert await world.listings() == {ONE: [GOOD]}


async def test_stopping_does_not_wait_for_silent_nameservers(world: World) -> None:
    world.dns.add_zone(GOOD)
    world.dns.trouble[f"2.1.9.{GOOD}"] = "silent"
    await world.add(*(f"9.1.2.{last}" for last in range(1, 200)))
    stop = asyncio.Event()
    running = asyncio.create_task(blocklists.run(world.pool, world.configured(GOOD), world.counters, stop))

    async def asked() -> bool:
        return any(name.endswith(f"2.1.9.{GOOD}") for name in world.dns.asked)

    await until(asked)
    stop.set()
    await asyncio.wait_for(running, 3)  # One look-up alone would take five seconds.
    assert await world.db.fetchval("SELECT count(attempted_at) FROM sending_ip") == 0, "they stay due"
    assert await world.db.fetchval("SELECT pg_try_advisory_lock($1)", blocklists.LOCK)


async def test_without_zones_nothing_is_asked(world: World) -> None:
    await world.add(ONE)
    await asyncio.wait_for(blocklists.run(world.pool, world.settings, world.counters, asyncio.Event()), 3)
    assert not world.dns.asked


async def test_the_aggregator_runs_the_job(world: World, postgres_dsn: str, redis_url: str) -> None:
    world.dns.add_zone(GOOD, ONE_REVERSED)
    await world.add(ONE)
    async with bench(postgres_dsn, redis_url) as at:
        named = f"127.0.0.1:{world.dns.port}"
        async with at.aggregator(dnsbl_zones=Secret(GOOD), dnsbl_nameservers=named):

            async def listed() -> bool:
                return await world.listings() == {ONE: [GOOD]}

            await until(listed)


@pytest.fixture
def command(postgres_dsn: str) -> Callable[..., Result]:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments, env={"POSTMETER_POSTGRES_DSN": postgres_dsn})

    assert run("workspace", "create", "acme", "--name", "Acme").exit_code == 0
    return run


def test_sending_ips_are_added_listed_and_removed(command: Callable[..., Result]) -> None:
    added = command("sending-ip", "add", "--workspace", "acme", ONE, "2A00:1450:0::8A", f"::ffff:{TWO}", ONE)
    assert added.output.splitlines() == [f"{ONE} added", f"{SIX} added", f"{TWO} added"]
    again = command("sending-ip", "add", "--workspace", "acme", ONE, "9.9.9.9")
    assert again.output.splitlines() == [f"{ONE} was there already", "9.9.9.9 added"]
    listed = command("sending-ip", "list", "--workspace", "acme").output.splitlines()
    assert [line.split("\t")[0] for line in listed] == ["ip", ONE, TWO, "9.9.9.9", SIX]
    assert listed[1].split("\t")[2:] == ["never", "-"]
    refused = command("sending-ip", "remove", "--workspace", "acme", ONE, "9.9.9.8")
    assert refused.exit_code == 1
    assert "'acme' has no sending IP 9.9.9.8; nothing was removed" in refused.output
    removed = command("sending-ip", "remove", "--workspace", "acme", ONE, SIX)
    assert removed.output.splitlines() == [f"{ONE} removed", f"{SIX} removed"]
    left = command("sending-ip", "list", "--workspace", "acme").output.splitlines()
    assert [line.split("\t")[0] for line in left] == ["ip", TWO, "9.9.9.9"]


@pytest.mark.parametrize(
    ("ip", "message"),
    [
        ("mail.example.net", "is no IP address, such as"),
        ("9.1.2", "is no IP address, such as"),
        ("9.1.2.256", "is no IP address, such as"),
        ("09.1.2.3", "is no IP address, such as"),
        ("9.1.2.0/24", "but a network: name each address"),
        ("10.0.0.1", "is not public"),
        ("192.168.1.1", "is not public"),
        ("100.64.0.1", "is not public"),
        ("127.0.0.1", "is not public"),
        ("0.0.0.0", "is not public"),
        ("224.0.0.251", "is not public"),
        ("192.0.2.1", "is not public"),
        ("::1", "is not public"),
        ("fd00::1", "is not public"),
        ("fe80::1", "is not public"),
        ("fe80::1%eth0", "belongs to one link only"),
        ("ff0e::1", "is not public"),
        ("::ffff:10.0.0.1", "is not public"),
    ],
)
def test_other_addresses_are_refused_and_nothing_is_stored(
    command: Callable[..., Result], ip: str, message: str
) -> None:
    refused = command("sending-ip", "add", "--workspace", "acme", ONE, ip)
    assert refused.exit_code == 1
    assert message in refused.output
    assert command("sending-ip", "list", "--workspace", "acme").output.splitlines()[1:] == []


@pytest.mark.parametrize("action", ["add", "list", "remove"])
def test_an_unknown_workspace_is_named(command: Callable[..., Result], action: str) -> None:
    refused = command("sending-ip", action, "--workspace", "other", *([] if action == "list" else [ONE]))
    assert refused.exit_code == 1
    assert "there is no workspace 'other'" in refused.output
