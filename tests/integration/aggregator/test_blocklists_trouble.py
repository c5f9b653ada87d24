"""DNSBL zones that fall silent, refuse, lie or have been sold: what is believed, said and asked."""

import io
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import dns.asyncresolver
import dns.name
import pytest
import structlog

from postmeter.aggregator.upkeep.blocklists import rounds
from tests.integration.blocklists import (
    GOOD,
    ONE,
    ONE_REVERSED,
    OTHER,
    SIX,
    SIX_REVERSED,
    TWO,
    TWO_REVERSED,
    BlocklistJobs,
    looking_up,
)
from tests.product import PATIENCE


@pytest.fixture
async def world(postgres_dsn: str, redis_url: str) -> AsyncIterator[BlocklistJobs]:
    async with looking_up(postgres_dsn, redis_url) as made:
        yield made


@pytest.fixture
def impatient(world: BlocklistJobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence of a nameserver costs its real time; here a tenth of a second has to do, but not for one that answers."""
    resolve = dns.asyncresolver.Resolver.resolve

    async def resolved(self: dns.asyncresolver.Resolver, name: dns.name.Name, *given: Any, **more: Any) -> Any:
        troubled = any(name.is_subdomain(dns.name.from_text(zone)) for zone in world.dns.trouble)
        return await resolve(self, name, *given, **more | {"lifetime": 0.1 if troubled else PATIENCE})

    monkeypatch.setattr(dns.asyncresolver.Resolver, "resolve", resolved)


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


@pytest.mark.parametrize("trouble", ["silent", "servfail", "refused"])
@pytest.mark.usefixtures("impatient")
async def test_a_zone_that_falls_silent_keeps_its_last_word(world: BlocklistJobs, logged: Any, trouble: Any) -> None:
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
async def test_look_ups_that_fail_between_others(world: BlocklistJobs, logged: Any) -> None:
    world.dns.add_zone(GOOD, ONE_REVERSED)
    world.dns.trouble[f"2.1.9.{GOOD}"] = "servfail"  # All of 9.1.2.x; the test entries answer.
    await world.add(ONE, "9.1.3.1")
    await world.job(GOOD).once()
    assert await world.checked() == {"9.1.3.1"}
    assert world.lookups() == {"failed": 1, "not_listed": 1}
    assert logged() == [(GOOD, rounds.SILENT)]


@pytest.mark.usefixtures("impatient")
async def test_a_zone_that_goes_on_failing_is_asked_no_more(
    world: BlocklistJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "CONCURRENCY", 1)
    world.dns.add_zone(GOOD)
    world.dns.trouble[f"2.1.9.{GOOD}"] = "servfail"
    await world.add(*(f"9.1.2.{last}" for last in range(1, 10)))
    await world.job(GOOD).once()
    assert world.lookups() == {"failed": rounds.PATIENCE, "skipped": 9 - rounds.PATIENCE}
    assert await world.checked() == set()


async def test_what_there_is_no_time_for_waits(world: BlocklistJobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "CHUNK_SECONDS", -1)
    world.dns.add_zone(GOOD, ONE_REVERSED)
    await world.add(ONE)
    await world.job(GOOD).once()
    assert world.lookups() == {"skipped": 1}
    assert await world.checked() == set()


@pytest.mark.parametrize("code", ["127.255.255.254", "127.255.255.255", "127.0.0.1", "203.0.113.80"])
async def test_error_codes_are_not_listings(world: BlocklistJobs, logged: Any, code: str) -> None:
    world.dns.add_zone(GOOD, ONE_REVERSED, code=code)
    await world.add(ONE)
    await world.job(GOOD).once()
    assert await world.listings() == {ONE: []}
    assert await world.checked() == set(), "the zone said nothing about the IP"
    assert world.lookups() == {"error": 1}
    assert logged() == [(GOOD, rounds.REFUSING)]


async def test_zones_that_fail_the_test_are_left_out(world: BlocklistJobs, logged: Any) -> None:
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


async def test_a_zone_without_ipv6_is_left_out_for_ipv6_only(world: BlocklistJobs) -> None:
    world.dns.add_zone(GOOD, ONE_REVERSED, ipv6=False)
    await world.add(ONE, SIX)
    await world.job(GOOD).once()
    assert await world.listings() == {ONE: [GOOD], SIX: []}
    assert await world.checked() == {ONE}
    assert (world.up(GOOD, 4), world.up(GOOD, 6)) == (1, 0)
    assert SIX_REVERSED not in world.dns.questions(GOOD)


async def test_a_subscribers_key_is_asked_with_and_shown_nowhere(world: BlocklistJobs, logged: Any) -> None:
    key = "abcdefghijklmnopqrstuvwxyz"
    world.dns.add_zone(f"{key}.zen.example.net", ONE_REVERSED)
    world.dns.trouble[f"{key}.other.example.net"] = "servfail"
    await world.add(ONE)
    await world.job(f"{key}.zen.example.net", f"{key}.other.example.net").once()
    assert await world.listings() == {ONE: ["*.zen.example.net"]}
    assert world.up("*.zen.example.net") == 1
    assert logged() == [("*.other.example.net", rounds.SILENT)]
