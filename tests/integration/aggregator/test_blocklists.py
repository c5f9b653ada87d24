"""Sending IPs in DNSBL zones: a real DNS server on loopback, and what its answers become in the table."""

from collections import Counter
from collections.abc import AsyncIterator

import pytest

from postmeter.aggregator.upkeep.blocklists import job as blocklists
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


@pytest.fixture
async def world(postgres_dsn: str, redis_url: str) -> AsyncIterator[BlocklistJobs]:
    async with looking_up(postgres_dsn, redis_url) as made:
        yield made


async def test_listed_and_not_listed_in_both_families(world: BlocklistJobs) -> None:
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


async def test_what_the_deliverability_answer_needs_is_in_the_table(world: BlocklistJobs) -> None:
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


async def test_an_ip_of_two_workspaces_is_asked_about_once(world: BlocklistJobs) -> None:
    world.dns.add_zone(GOOD, ONE_REVERSED)
    await world.add(ONE)
    await world.add(ONE, workspace=2)
    assert await world.job(GOOD).once() == 2
    assert world.dns.questions(GOOD)[ONE_REVERSED] == 1
    assert await world.db.fetchval("SELECT count(*) FROM sending_ip WHERE listed_in = $1", [GOOD]) == 2


async def test_an_ip_that_is_delisted_is_free_again(world: BlocklistJobs) -> None:
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


async def test_a_name_without_an_address_is_not_a_listing(world: BlocklistJobs) -> None:
    world.dns.add_zone(GOOD)
    world.dns.without_address.add(f"{ONE_REVERSED}.{GOOD}")
    await world.add(ONE)
    await world.job(GOOD).once()
    assert await world.listings() == {ONE: []}
    assert world.lookups() == {"not_listed": 1}


async def test_a_truncated_answer_is_asked_for_by_tcp(world: BlocklistJobs) -> None:
    world.dns.add_zone(GOOD, ONE_REVERSED)
    world.dns.truncated.add(f"{ONE_REVERSED}.{GOOD}")
    await world.add(ONE)
    await world.job(GOOD).once()
    assert await world.listings() == {ONE: [GOOD]}
    assert world.dns.asked_by_tcp == Counter({f"{ONE_REVERSED}.{GOOD}": 1})


async def test_zones_are_tested_once_a_round_of_many_chunks(
    world: BlocklistJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocklists, "CHUNK", 2)
    world.dns.add_zone(GOOD, ONE_REVERSED)
    await world.add(*(f"9.1.2.{last}" for last in range(1, 6)), SIX)
    assert await world.job(GOOD).once() == 6
    assert world.dns.questions(GOOD)["2.0.0.127"] == 1
    assert world.dns.questions(GOOD)["1.0.0.127"] == 1
    assert set(world.dns.asked.values()) == {1}
    assert len(await world.checked()) == 6


async def test_a_zone_that_is_not_configured_any_more_has_no_say(world: BlocklistJobs) -> None:
    world.dns.add_zone(GOOD, ONE_REVERSED)
    world.dns.add_zone(OTHER, ONE_REVERSED)
    await world.add(ONE)
    await world.job(GOOD, OTHER).once()
    assert await world.listings() == {ONE: [GOOD, OTHER]}
    await world.make_due()
    await world.job(OTHER).once()
    assert await world.listings() == {ONE: [OTHER]}
