"""What the gateway remembers of Postgres while that is away."""

import asyncio

import pytest
from structlog.testing import capture_logs

from postmeter.gateway.keys import remembered
from postmeter.gateway.keys.remembered import FRESH_SECONDS, GRACE_SECONDS, RETRY_SECONDS, Remembered
from postmeter.shared.errors import Unavailable


async def test_one_asks_a_hanging_postgres_and_the_others_are_served_meanwhile() -> None:
    now, asked, tries, hangs = 0.0, 0, asyncio.Event(), asyncio.Event()

    async def look_up(key: str) -> str:
        nonlocal asked
        asked += 1
        if asked == 1 or key == "another":
            return key
        if asked > 2:
            tries.set()
            await hangs.wait()
        raise OSError("away")

    known = Remembered("Keys", look_up, lambda: now)
    with capture_logs() as lines:
        assert await known.find("key") == "key"
        now += FRESH_SECONDS + 1
        assert await known.find("key") == "key"  # fails, and is served
        now += RETRY_SECONDS + 1
        trying = asyncio.create_task(known.find("key"))
        await tries.wait()
        assert [await known.find("key") for _ in range(10)] == ["key"] * 10
        assert asked == 3
        hangs.set()
        assert await trying == "key"
        now += RETRY_SECONDS + 1
        assert await known.find("another") == "another"
        now += GRACE_SECONDS
        with pytest.raises(Unavailable):
            await known.find("key")
    assert [line["event"] for line in lines] == ["Keys cannot be looked up: Postgres does not answer"]


async def test_what_is_large_is_remembered_by_its_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    """A principal may have a thousand domains; ten thousand of these would be gigabytes."""
    monkeypatch.setattr(remembered, "MOST_WEIGHT", 100)
    asked: list[str] = []

    async def look_up(key: str) -> str:
        asked.append(key)
        return key

    known = Remembered("Keys", look_up, lambda: 0.0, weigh=len)
    small, large, other = "s", "l" * 60, "o" * 60
    for key in (small, large, other, small, other, large):
        assert await known.find(key) == key
    # The two that are large do not fit together; the small one went with the first of them.
    assert asked == [small, large, other, small, large]
    assert await known.find("x" * 101) == "x" * 101
    assert not known._known
