"""Kept answers: never older than what is committed, computed once, and nobody else's."""

import asyncio
import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from postmeter.aggregator.upkeep import retention
from postmeter.query.bounded_store import LARGEST, OVERHEAD, Store
from postmeter.query.cache.questions import CLOCKS
from postmeter.shared.apis.endpoint import Caching
from tests.integration.kept_answers import Kept, Life, Question, two_services
from tests.integration.running_query import Fact, sealed
from tests.oracle.stories import DOMAINS, TODAY, Story, registered, told
from tests.oracle.stories import hits as of_hits
from tests.waiting import until

VIEWS: list[dict[str, Any]] = [{}, {"role": "domain_admin", "domains": [DOMAINS[0]]}]
STEPS, ASKED = 40, 10
SEARCH: Question = ("/v1/messages/search", {"engagement": "opened"})


def story(noise: random.Random, now: datetime) -> Story:
    known = [registered(now, n, noise) for n in range(12)]
    happened = [(of_hits if noise.random() < 0.4 else told)(now, known, noise) for _ in range(150)]
    return Story(now, [*known, *happened])


@pytest.mark.parametrize("seed", range(2))
async def test_the_next_answer_after_any_commit_is_the_new_one(postgres_dsn: str, redis_url: str, seed: int) -> None:
    """A service that keeps answers beside one that does not, in a random order of questions and of what happens."""
    noise = random.Random(seed)
    async with two_services(postgres_dsn, redis_url) as at:
        at.now = TODAY - timedelta(days=9) + noise.choice([timedelta(), timedelta(hours=15, minutes=14, seconds=59)])
        numbers = [await at.here.workspace() for _ in range(2)]
        stories = {number: story(noise, at.now) for number in numbers}
        lives = {number: Life(at, number, stories[number], noise) for number in numbers}
        for life in [*lives.values()] * 3:
            await life.flush()
        questions = {number: await at.questions(number, stories[number], noise) for number in numbers}
        questions = {number: [*noise.sample(found, 15), SEARCH] for number, found in questions.items()}
        for step in range(STEPS):
            number = noise.choice(numbers)
            happening = noise.choice(lives[number].happenings())
            await happening()
            for _ in range(ASKED):
                about = noise.choice([number, number, *numbers])
                question, view = noise.choice(questions[about]), noise.choice(VIEWS)
                await compare(at, about, question, f"step {step}, {happening.__name__}", **view)
        assert at.results("hit") > 30
        assert at.results("miss") > 30


async def compare(at: Kept, about: int, question: Question, when: str, **view: Any) -> None:
    who = {"workspace": about, "workspace_id": await workspace_id(at, about), **view}
    kept, plain = [await at.ask(url, question, **who) for url in (at.kept_url, at.plain_url)]
    assert kept == plain, f"{when}: {question}"


@pytest.mark.parametrize("name", ["rename", "buy", "address", "setting", "domain", "provisional"])
async def test_what_seldom_changes_is_seen_at_once(postgres_dsn: str, redis_url: str, name: str) -> None:
    """Each of the small tables alone: nothing else happens that would make kept answers old."""
    noise = random.Random(name)
    async with two_services(postgres_dsn, redis_url) as at:
        at.now = TODAY - timedelta(days=3)
        number = await at.here.workspace()
        life = Life(at, number, story(noise, at.now), noise)
        for _ in range(4):
            await life.flush()
        for step in range(4):
            for question in at.of_small_tables(await workspace_id(at, number)):
                await compare(at, number, question, f"after {step}")
            await getattr(life, name)()
        before = at.results("hit")
        for question in at.of_small_tables(await workspace_id(at, number)):
            await compare(at, number, question, "at the end")
            await compare(at, number, question, "again")
        assert at.results("hit") >= before + 5


async def workspace_id(at: Kept, number: int) -> str:
    found: str = await at.here.pool.fetchval("SELECT id FROM workspace WHERE number = $1", number)
    return found


async def test_a_question_is_computed_once_while_many_ask_it(postgres_dsn: str, redis_url: str) -> None:
    async with two_services(postgres_dsn, redis_url) as at:
        number = await at.here.workspace()
        async with at.here.pool.acquire() as connection, connection.transaction():
            await connection.execute("LOCK TABLE activity_1d IN ACCESS EXCLUSIVE MODE")
            question = ("/v1/metrics/summary?from=2026-01-01&to=2026-01-31", None)
            asking = [asyncio.create_task(at.ask(at.kept_url, question, workspace=number)) for _ in range(20)]
            await until(lambda: done(at.results("joined") == 19))
            asking.pop(0).cancel()  # whoever asked first leaves; the others get their answer
        answers = await asyncio.gather(*asking)
        assert {status for status, _ in answers} == {200}
        assert (at.results("miss"), at.results("joined")) == (1, 19)
        assert (await at.ask(at.kept_url, question, workspace=number), at.results("hit")) == (answers[0], 1)


async def done(condition: bool) -> bool:
    return condition


async def test_a_computation_that_nobody_waits_for_ends(postgres_dsn: str, redis_url: str) -> None:
    async with two_services(postgres_dsn, redis_url) as at:
        number = await at.here.workspace()
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%activity_1d%'"
        async with at.here.pool.acquire() as connection, connection.transaction():
            await connection.execute("LOCK TABLE activity_1d IN ACCESS EXCLUSIVE MODE")
            question = ("/v1/metrics/summary?from=2026-01-01&to=2026-01-31", None)
            asking = [asyncio.create_task(at.ask(at.kept_url, question, workspace=number)) for _ in range(2)]
            await until(lambda: is_so(at, waiting, 1))
            for one in asking:
                one.cancel()
            await until(lambda: is_so(at, waiting, 0))
        assert (await at.ask(at.kept_url, question, workspace=number))[0] == 200


async def is_so(at: Kept, query: str, expected: int) -> bool:
    return bool(await at.at.db.fetchval(query) == expected)


async def test_without_a_version_a_question_is_computed_for_itself(postgres_dsn: str, redis_url: str) -> None:
    async with two_services(postgres_dsn, redis_url, version_seconds=0.2) as at:
        number = await at.here.workspace()
        async with at.here.pool.acquire() as connection, connection.transaction():
            await connection.execute("LOCK TABLE answer_version IN ACCESS EXCLUSIVE MODE")
            asking = [at.ask(at.kept_url, ("/v1/campaigns", None), workspace=number) for _ in range(2)]
            assert [status for status, _ in await asyncio.gather(*asking)] == [200, 200]
        assert (at.results("unkept"), at.results("hit"), at.results("miss")) == (2, 0, 0)
        await until(lambda: asked_again(at, number))


async def asked_again(at: Kept, number: int) -> bool:
    """On a slow machine a version may not come in time again."""
    assert (await at.ask(at.kept_url, ("/v1/campaigns", None), workspace=number))[0] == 200
    return at.results("hit") > 0


async def test_a_failure_is_not_kept(postgres_dsn: str, redis_url: str) -> None:
    async with two_services(postgres_dsn, redis_url) as at:
        number = await at.here.workspace("shop")
        who = {"workspace": number, "workspace_id": "shop"}
        question = ("/api/v1/workspaces/shop/campaigns/new/analytics", None)
        assert (await at.ask(at.kept_url, question, **who))[0] == 404
        await at.here.add(number, Fact(at.now, "new", counters={"sent": 1}))
        await at.here.pool.execute("INSERT INTO campaign (workspace, id, name) VALUES ($1, 'new', 'New')", number)
        assert (await at.ask(at.kept_url, question, **who))[0] == 200


async def test_a_confined_key_gets_its_own_answers_only(postgres_dsn: str, redis_url: str) -> None:
    """Whoever asked the same before, of whatever rights."""
    async with two_services(postgres_dsn, redis_url) as at:
        one, other = [await at.here.workspace() for _ in range(2)]
        facts = [Fact(at.now, "c", domain, counters={"sent": n}) for n, domain in enumerate(DOMAINS, start=1)]
        await at.here.add(one, *facts)
        await at.here.add(other, Fact(at.now, "c", DOMAINS[0], counters={"sent": 70}))
        question = ("/v1/query", {"metrics": ["sent"]})
        views: list[tuple[dict[str, Any], int]] = [
            ({"workspace": one}, 6),
            ({"workspace": one, "role": "domain_admin", "domains": [DOMAINS[0]]}, 1),
            ({"workspace": one, "role": "domain_admin", "domains": [DOMAINS[1]]}, 2),
            ({"workspace": one, "role": "domain_admin", "domains": [DOMAINS[0], DOMAINS[1]]}, 3),
            ({"workspace": one, "role": "domain_admin"}, 0),
            ({"workspace": one, "role": "member", "domains": [DOMAINS[2]]}, 3),
            ({"workspace": other}, 70),
        ]
        for _ in range(3):
            random.shuffle(views)
            for who, expected in views:
                _, body = await at.ask(at.kept_url, question, **who)
                assert sum(row["sent"] for row in body["data"]) == expected, who
        assert (at.results("miss"), at.results("hit")) == (7, 14)


async def test_retention_makes_every_answer_old(postgres_dsn: str, redis_url: str) -> None:
    async with two_services(postgres_dsn, redis_url) as at:
        number, before = await at.here.workspace(), await version(at, 0)
        assert await retention.once(at.at.db, at.at.settings, (datetime.now(UTC) + timedelta(days=90)).date())
        assert await version(at, 0) > before
        assert await version(at, number) > 0  # of its own making


async def test_a_flush_that_says_nothing_of_versions_raises_everybody_s(postgres_dsn: str, redis_url: str) -> None:
    """That of an aggregator which an update has not reached yet."""
    async with two_services(postgres_dsn, redis_url) as at:
        first, second = [await at.here.workspace() for _ in range(2)]
        before = [await version(at, number) for number in (0, first, second)]
        await at.count(first, random.Random(1), registered(TODAY - timedelta(days=9), 1, random.Random(1)))
        after = [await version(at, number) for number in (0, first, second)]
        assert (after[0], after[2]) == (before[0], before[2])
        assert after[1] > before[1]
        await at.at.db.execute("UPDATE shard SET position = '77-0' WHERE shard = 1")
        assert await version(at, 0) > before[0]


async def version(at: Kept, workspace: int) -> int:
    query = "SELECT coalesce(sum(version), 0)::bigint FROM answer_version WHERE workspace = $1"
    found: int = await at.here.pool.fetchval(query, workspace)
    return found


async def test_who_raises_a_version_waits_for_nobody(postgres_dsn: str, redis_url: str) -> None:
    """Two transactions raise the versions of the same workspaces, each in its own order; both count."""
    async with two_services(postgres_dsn, redis_url) as at:
        numbers = [await at.here.workspace() for _ in range(2)]
        before = [await version(at, number) for number in numbers]
        raising = "SELECT postmeter_raise_versions($1)"
        async with at.here.pool.acquire() as one, at.here.pool.acquire() as other, one.transaction():
            async with other.transaction():
                await one.execute(raising, numbers[:1])
                await other.execute(raising, numbers[1:])
                await one.execute(raising, numbers[1:])
                await other.execute(raising, numbers)
            between = [await version(at, number) for number in numbers]
        after = [await version(at, number) for number in numbers]
        assert all(a < b < c for a, b, c in zip(before, between, after, strict=True))
        rows = "SELECT count(*) FROM answer_version WHERE workspace = ANY ($1)"
        found = await at.here.pool.fetchval(rows, numbers)
        await at.here.pool.execute(raising, numbers)
        assert await at.here.pool.fetchval(rows, numbers) == found == 4  # slots are used again


async def test_vectis_has_a_meta_of_each_request(postgres_dsn: str, redis_url: str) -> None:
    async with two_services(postgres_dsn, redis_url) as at:
        number = await at.here.workspace()
        for name in ("first", "second"):
            headers = sealed(number, request_id=name)
            async with at.session.get(f"{at.kept_url}/api/v1/analytics", headers=headers) as answer:
                assert list(found := json.loads(await answer.read())) == ["data", "meta"]
                assert found["meta"]["request_id"] == name
        assert at.results("hit") == 1


asked_for = st.lists(
    st.tuples(st.integers(1, 4), st.integers(0, 30), st.integers(0, 3000), st.integers(0, 2)), max_size=80
)


@given(asked_for)
def test_memory_is_bounded_and_shared_fairly(asked: list[tuple[int, int, int, int]]) -> None:
    most, versions = 40_000, dict.fromkeys(range(1, 5), 0)
    store, sizes = Store[bytes](most), dict[tuple[int, int, int], int]()
    for workspace, number, drawn, rise in asked:
        versions[workspace] += rise
        size = sizes.setdefault((workspace, versions[workspace], number), drawn)  # of a version there is one answer
        store.put(workspace, versions[workspace], number, bytes(size), size)
        assert store.bytes <= most
        fits = LARGEST * (size + OVERHEAD) <= most
        found = store.get(workspace, versions[workspace], number)
        assert found is None or (fits and found == bytes(size))
        assert store.get(workspace, versions[workspace] + 1, number) is None


def test_a_workspace_that_asks_much_keeps_nobody_else_from_keeping() -> None:
    store = Store[bytes](100_000)
    store.put(1, 1, "small", b"x" * 500, 500)
    evicted = sum(store.put(2, 1, n, b"y" * 4500, 4500) for n in range(500))
    assert evicted > 400
    assert store.get(1, 1, "small") is not None
    assert store.get(2, 1, 499) is not None
    assert 80_000 < store.bytes <= 100_000


def test_an_answer_of_an_earlier_version_comes_too_late() -> None:
    store = Store[bytes](100_000)
    store.put(1, 2, "q", b"new", 3)
    store.put(1, 1, "q", b"old", 3)
    assert store.get(1, 1, "q") is None
    assert store.get(1, 2, "q") == b"new"


@pytest.mark.parametrize(
    ("body", "stays"),
    [
        (b'{"from": "2026-04-01", "to": "2026-04-02"}', True),
        (b'{"cursor": "x"}', True),
        (b'{"from": "2026-04-01"}', False),
        (b'{"from": null, "to": null, "cursor": null}', False),
    ],
)
def test_a_search_of_a_whole_range_is_the_same_whatever_the_clock_says(body: bytes, stays: bool) -> None:
    clock = CLOCKS[Caching.BY_SECOND_WITHOUT_RANGE]
    assert clock is not None
    request = make_mocked_request("POST", SEARCH[0])
    hands = {clock(request, body, TODAY + timedelta(seconds=seconds)) for seconds in range(3)}
    assert None not in hands
    assert (len(hands) == 1) is stays
