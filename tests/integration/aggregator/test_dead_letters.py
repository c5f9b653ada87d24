"""Dead letters: no workspace can flood their table."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from postmeter.shared.stream.records import Refusal
from tests.aggregation import AT, Bench, bench, hit, registration


@pytest.fixture
async def at(postgres_dsn: str, redis_url: str) -> AsyncIterator[Bench]:
    async with bench(postgres_dsn, redis_url) as made:
        yield made


def refusals(workspace: int, n: int) -> list[Refusal]:
    return [Refusal(AT, workspace, "POST /v1/events", "type: This field is required.", b"{}") for _ in range(n)]


async def kept(at: Bench) -> dict[int | None, int]:
    rows = await at.db.fetch("SELECT workspace, count(*) AS n FROM dead_letter GROUP BY 1")
    return {row["workspace"]: row["n"] for row in rows}


async def test_a_workspace_s_dead_letters_are_bounded_and_the_rest_counts(at: Bench) -> None:
    at.settings = replace(at.settings, dead_letter_limit=5)
    async with at.aggregator():
        await at.streams.append(0, registration(1), hit(1), *refusals(1, 4), *refusals(2, 1))
        await at.counted()
        assert await kept(at) == {1: 4, 2: 1}
        await at.streams.append(0, *refusals(1, 50), hit(1))
        await at.streams.append(0, packed=b"\xdd\x00\x00\x00\x01\xc0")
        await at.counted()
    assert await kept(at) == {1: 5, 2: 1, None: 1}
    assert (await at.total())["human_opens"] == 2
    row = await at.db.fetchrow("SELECT reason, record FROM dead_letter WHERE workspace = 2")
    assert row is not None
    assert tuple(row) == ("POST /v1/events: type: This field is required.", b"{}")


async def test_there_is_room_again_when_old_ones_are_gone(at: Bench) -> None:
    at.settings = replace(at.settings, dead_letter_limit=2)
    async with at.aggregator():
        await at.streams.append(0, *refusals(1, 3))
        await at.counted()
    await at.db.execute("DELETE FROM dead_letter")
    async with at.aggregator():  # it counts anew
        await at.streams.append(0, *refusals(1, 3))
        await at.counted()
    assert await kept(at) == {1: 2}
