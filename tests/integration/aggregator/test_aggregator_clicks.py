"""Clicks that are judged with those nearby: in any order, by any flushes and shards, the tables end the same."""

import asyncio
import random
from collections.abc import AsyncIterator
from itertools import count, product

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postmeter.shared.storage.thresholds import Thresholds
from postmeter.shared.stream.events import EventType, Mark
from postmeter.shared.stream.records import Record
from tests.aggregation import AT, SECOND, Bench, bench, event, hit, registration
from tests.integration.aggregator_model import Model, check_live, check_tables, entries, in_workspace, micro
from tests.integration.aggregator_sums import check_sums
from tests.integration.flushes import HOUR, Side, meet, of_workspace, sides
from tests.product import free_port
from tests.waiting import until

WORKSPACES = count(5001)
URLS = [f"https://shop.example/{name}" for name in "abcd"]
HALF = SECOND // 2
SAID = Thresholds(3, 0, 4000, 0, 0, 0)
STRICT = Thresholds(burst_links=3, burst_milliseconds=700, early_seconds=2)
"""What the workspaces here have said."""


def click(n: int, at: float, url: str = URLS[0], **changes: object) -> Record:
    """A click `at` seconds after AT."""
    return hit(n, AT + round(at * SECOND), url=url, **changes)


async def check_clicks(at: Bench, workspace: int, model: Model) -> None:
    """The tables, and the reason of every click."""
    await check_tables(at.db, workspace, model)
    await check_sums(at.db, workspace)
    query = f"SELECT message, {micro('at')}, user_agent, verdict_reason FROM history WHERE workspace = $1 AND type = 11"
    rows = [row for row in await at.db.fetch(query, workspace) if row[3] not in ("prefetch", "head", "honeypot")]
    found = {(row[0].bytes, row[1], (row[2] or "").encode()): row[3] for row in rows}
    assert {click: reason for click, reason in found.items() if reason} == model.company


@pytest.fixture
async def at(postgres_dsn: str, redis_url: str) -> AsyncIterator[Bench]:
    async with bench(postgres_dsn, redis_url) as made:
        await made.db.execute(
            "INSERT INTO workspace (number, id, name) OVERRIDING SYSTEM VALUE"
            " SELECT n, 'ws-' || n, '' FROM generate_series(1, 5999) AS n WHERE n = 1 OR n > 5000"
        )
        await made.db.execute(
            "INSERT INTO verdict_setting SELECT number, $1, $2, $3, $4, $5, $6 FROM workspace", *STRICT
        )
        yield made


@pytest.fixture
async def three(at: Bench) -> AsyncIterator[list[Side]]:
    async with sides(at, 3) as made:
        yield made


@st.composite
def crowded(draw: st.DrawFn) -> list[Record]:
    """Two messages with many clicks within a minute, and others hours away; sendings and opens between them."""
    found: list[Record] = [registration(n, links=draw(st.sampled_from([0, 2, 3, 4]))) for n in range(2)]
    close = st.integers(0, 60).map(lambda halves: AT + halves * HALF)
    closer = st.integers(20, 32).map(lambda eighths: AT + eighths * SECOND // 8 + 1)
    away = st.integers(-3, 3).map(lambda hours: AT + hours * HOUR)
    numbers = st.integers(0, 1)
    agents = st.sampled_from([b"Thunderbird", b"Firefox"])
    clicks = st.builds(
        hit,
        numbers,
        close | closer | closer | away,
        url=st.sampled_from(URLS),
        prefetch=st.sampled_from([False, False, False, True]),
        mark=st.sampled_from([0] * 20 + list(Mark)),
        user_agent=agents,
    )
    told = st.builds(event, st.just(EventType.CLICKED), numbers, closer, url=st.sampled_from(["", *URLS]))
    told |= st.builds(event, st.just(EventType.DELIVERED), numbers, close | close | away)
    others = st.builds(hit, numbers, close) | st.builds(event, st.just(EventType.SENT), numbers, away)
    return found + draw(st.lists(clicks | clicks | clicks | told | others, min_size=2, max_size=40))


async def flush_in_parts(three: list[Side], found: list[Record], noise: random.Random) -> None:
    """Count them in any order, in flushes of any size, by any shard."""
    found = noise.sample(found, len(found))
    while found:
        size = noise.choice([1, 2, 5, 40])
        await noise.choice(three).flush(found[:size])
        found = found[size:]
    await three[0].sweep()


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(found=crowded(), seed=st.integers(0, 2**32))
async def test_order_and_flushes_decide_nothing(at: Bench, three: list[Side], found: list[Record], seed: int) -> None:
    workspace = next(WORKSPACES)
    await flush_in_parts(three, of_workspace(workspace, found), random.Random(seed))
    await check_clicks(at, workspace, Model([(record, "") for record in found], STRICT))


@pytest.fixture
async def running(at: Bench) -> AsyncIterator[Bench]:
    async with at.aggregator(), at.aggregator(batch_records=5), at.aggregator(flush_pause=0.0):
        yield at


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(found=crowded(), seed=st.integers(0, 2**32))
async def test_shards_that_count_at_once_end_the_same(running: Bench, found: list[Record], seed: int) -> None:
    at, workspace = running, next(WORKSPACES)
    # Registered first: what waits for the sweep would never be counted by two at once.
    first, then = [r for r in found if r in found[:2]], found[2:]
    for part, some in enumerate((first, then)):
        for shard, name, packed in entries([in_workspace(r, "", workspace) for r in some], random.Random(seed)):
            await at.streams.append(shard, batch_id=f"{workspace}-{part}-{name}", packed=packed)
        await at.counted()
    model = Model([(record, "") for record in found], STRICT)
    await check_clicks(at, workspace, model)
    await check_live(at, workspace, model)


MEETING: dict[str, list[Record]] = {
    "one": [click(1, 1.0)],
    "another link": [click(1, 1.3, URLS[1])],
    "a third, earlier": [click(1, 0.8, URLS[2])],
    "two": [click(1, 0.9, URLS[1]), click(1, 0.95, URLS[2])],
    "sent": [event(EventType.SENT, 1, AT - HOUR)],
    "sent, and one": [event(EventType.SENT, 1, AT - 2 * HOUR), click(1, 0.6, URLS[2])],
    "another message": [click(2, 1.0), click(1, 1.2, URLS[1])],
    "delivered": [event(EventType.DELIVERED, 1, AT + SECOND // 2)],
    "a HEAD": [click(1, 5.0, mark=Mark.HEAD)],
    "the honeypot": [click(1, 8.0, URLS[3], mark=Mark.HONEYPOT)],
}
BEFORE: dict[str, list[Record]] = {
    "nothing": [],
    "two and sent": [click(1, 1.1, URLS[3]), click(1, 1.15, URLS[2]), event(EventType.SENT, 1, AT)],
}


async def test_flushes_that_meet_on_a_burst(at: Bench) -> None:
    """Half of the pairs, others each run."""
    models: dict[int, tuple[str, Model]] = {}
    workspace = next(WORKSPACES)
    async with sides(at, 2) as (one, other):
        for before, already in BEFORE.items():
            pairs = list(product(MEETING, repeat=2))
            for first, second in random.sample(pairs, len(pairs) // 2):
                mine, theirs = MEETING[first], MEETING[second]
                workspace = next(WORKSPACES)
                found: list[Record] = [registration(1, links=3), registration(2, links=3), *already]
                await one.flush(of_workspace(workspace, found))
                await meet(at, one, of_workspace(workspace, mine), other, of_workspace(workspace, theirs))
                model = Model([(record, "") for record in (*found, *mine, *theirs)], STRICT)
                models[workspace] = f"{before}; {first}; {second}", model
    for workspace, (name, model) in models.items():
        try:
            await check_clicks(at, workspace, model)
        except AssertionError as error:
            raise AssertionError(name) from error


async def test_a_delivery_and_a_click_that_meet_do_not_wait_in_a_circle(at: Bench, three: list[Side]) -> None:
    """Both wait for the message, and the one that comes first moves the first click that the other has in hand."""
    known: list[Record] = [registration(1), click(1, 1.5)]
    told, clicked = event(EventType.DELIVERED, 1, AT), click(1, 0.5, URLS[1])
    await three[0].flush(known)

    async def stands(side: Side) -> None:
        async def is_waiting() -> bool:
            query = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $1"
            return bool(await at.value(query, side.connection.get_server_pid()))

        await until(is_waiting)

    async with asyncio.TaskGroup() as tasks, three[2].connection.transaction():
        await three[2].connection.execute("SELECT FROM message FOR NO KEY UPDATE")
        for side, found in ((three[0], told), (three[1], clicked)):
            tasks.create_task(side.flush([found]))
            await stands(side)
    await check_clicks(at, 1, Model([(record, "") for record in (*known, told, clicked)], STRICT))


async def test_a_burst_is_a_machine_and_a_later_click_a_person(at: Bench, three: list[Side]) -> None:
    sent = event(EventType.SENT, 1, AT - HOUR)
    burst = [click(1, n / 5, URLS[n]) for n in range(3)]
    await three[0].flush([registration(1), sent, burst[0], burst[1]])
    assert await at.total() == {"sent": 1, "human_clicks": 2, "unique_clicks": 1}
    assert await at.value("SELECT clicked FROM cohort_sent_15m WHERE series = 0") == 1
    await three[1].flush([burst[2]])
    assert await at.total() == {"sent": 1, "machine_clicks": 3}
    assert await at.value("SELECT coalesce(clicked, 0) FROM cohort_sent_15m WHERE series = 0") == 0
    assert await at.value("SELECT array_agg(DISTINCT verdict_reason) FROM history WHERE type = 11") == ["burst"]
    await three[2].flush([click(1, 3000)])
    for table in ("activity_15m", "activity_1h", "activity_1d"):
        assert await at.total(table) == {"sent": 1, "machine_clicks": 3, "human_clicks": 1, "unique_clicks": 1}
    assert await at.value("SELECT clicked FROM cohort_sent_15m WHERE series = 0") == 1
    live = "SELECT array[sum(clicks), sum(unique_clicks), sum(machine_clicks)]::int[] FROM live_total"
    assert await at.value(live) == [1, 1, 3]


async def reasons(at: Bench, workspace: int = 1) -> list[str | None]:
    """Of all clicks, in the order of messages and times."""
    query = "SELECT verdict_reason FROM history WHERE workspace = $1 AND type = 11 ORDER BY message, at"
    return [row[0] for row in await at.db.fetch(query, workspace)]


async def test_all_links_take_all_of_the_messages_links(at: Bench, three: list[Side]) -> None:
    spread: list[Record] = [click(n, 3.0 * place, URLS[place]) for n in (1, 2) for place in range(4)]
    await three[0].flush([registration(1, links=4), registration(2, links=5), *spread])
    assert await reasons(at) == ["all_links"] * 4 + [None] * 4


async def test_a_click_of_the_honeypot_counts_as_a_machine_and_takes_those_nearby_along(
    at: Bench, three: list[Side]
) -> None:
    clicks: list[Record] = [click(1, 0.0), click(1, 9.0), click(1, 25.0)]
    await three[0].flush([registration(1, links=2), *clicks])
    assert await at.total() == {"human_clicks": 3, "unique_clicks": 1}
    await three[1].flush([click(1, 10.0, mark=Mark.HONEYPOT)])
    assert await at.total() == {"human_clicks": 1, "machine_clicks": 3, "unique_clicks": 1}
    assert await reasons(at) == ["near_honeypot", "near_honeypot", "honeypot", None]


async def test_a_head_is_never_counted_and_takes_clicks_of_its_own_agent_along(at: Bench, three: list[Side]) -> None:
    head = click(1, 0.0, mark=Mark.HEAD, user_agent=b"Firefox/126.0")
    await three[0].flush([registration(1), head])
    assert await at.total() == {}
    await three[1].flush([click(1, 1.0, user_agent=b"Firefox/126.0")])
    await three[2].flush([click(1, 2.0)])
    assert await at.total() == {"human_clicks": 1, "machine_clicks": 1, "unique_clicks": 1}
    assert await reasons(at) == ["head", "near_head", None]
    assert await at.value("SELECT array_agg(counted ORDER BY at) FROM history WHERE type = 11") == [False, True, True]


async def test_a_delivery_that_is_told_later_judges_clicks_that_came_before(at: Bench, three: list[Side]) -> None:
    await three[0].flush([registration(1), click(1, 1.5), click(1, 60.0)])
    await three[1].flush([event(EventType.DELIVERED, 1, AT)])
    assert await at.total() == {
        "delivered": 1,
        "trackable": 1,
        "human_clicks": 1,
        "machine_clicks": 1,
        "unique_clicks": 1,
    }
    assert await reasons(at) == ["early", None]
    # It was delivered before that, so the click was none of a machine that waits for mail.
    await three[2].flush([event(EventType.DELIVERED, 1, AT - HOUR)])
    assert await at.total() == {"delivered": 2, "trackable": 2, "human_clicks": 2, "unique_clicks": 1}
    assert await reasons(at) == [None, None]


async def test_a_workspace_has_its_own_thresholds(at: Bench, three: list[Side]) -> None:
    workspace = 5001
    await at.db.execute("DELETE FROM verdict_setting WHERE workspace IN ($1, $1 + 1)", workspace)
    await at.db.execute("INSERT INTO verdict_setting VALUES ($1, $2, $3, $4, $5, $6, $7)", workspace, *SAID)
    found = [registration(1, links=4), *(click(1, 1.5 * n, URLS[n % 4]) for n in range(4))]
    for of in (workspace, workspace + 1):
        await three[0].flush(of_workspace(of, found))
    await check_clicks(at, workspace, Model([(record, "") for record in found], SAID))
    await check_clicks(at, workspace + 1, Model([(record, "") for record in found]))
    assert await reasons(at, workspace) == ["burst"] * 4
    assert await reasons(at, workspace + 1) == ["all_links"] * 4


async def test_a_flood_of_clicks_is_counted_exactly(at: Bench, three: list[Side]) -> None:
    """Far more clicks than are looked at together."""
    await three[0].flush([registration(1)])
    for number in range(3):
        await three[number].flush([click(1, number + n / 4000, URLS[n % 3]) for n in range(4000)])
    await three[0].flush([click(1, 3.01, URLS[2])])
    assert await at.total() == {"machine_clicks": 12001}


async def test_metrics_tell_what_was_judged(at: Bench) -> None:
    port = free_port()
    async with at.aggregator(ops_port=port), aiohttp.ClientSession() as session:
        await at.streams.append(0, registration(1), *(click(1, n / 5, URLS[n]) for n in range(3)))

        async def told() -> bool:
            async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                return 'postmeter_judged_clicks_total{reason="burst"} 3.0' in await answer.text()

        await until(told)
