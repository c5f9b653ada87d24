"""Settings that several workers read again, each on a connection of its own."""

import asyncio
from typing import Any

from postmeter.aggregator.refreshed import Refreshed

CONNECTION: Any = None


class Reads:
    """What each of several readings finds, when the test lets it end."""

    def __init__(self) -> None:
        self.begun: list[asyncio.Future[str]] = []

    async def __call__(self, _: Any) -> str:
        self.begun.append(asyncio.get_running_loop().create_future())
        return await self.begun[-1]


async def read(known: Refreshed[str]) -> "asyncio.Task[None]":
    """One that goes as far as it can."""
    task = asyncio.create_task(known.refresh(CONNECTION))
    await asyncio.sleep(0)
    return task


async def test_who_reads_while_it_changes_keeps_nobody_from_reading_it_again() -> None:
    reads = Reads()
    known = Refreshed("first", reads)
    slow = await read(known)
    known.expire()
    reads.begun[0].set_result("before")
    await slow
    again = await read(known)
    assert len(reads.begun) == 2
    reads.begun[1].set_result("after")
    await again
    assert known.now == "after"
    await known.refresh(CONNECTION)
    assert len(reads.begun) == 2, "it is good for a while"


async def test_who_began_earlier_and_ends_later_sets_nothing_back() -> None:
    reads = Reads()
    known = Refreshed("first", reads)
    slow, quick = await read(known), await read(known)
    reads.begun[1].set_result("after")
    await quick
    reads.begun[0].set_result("before")
    await slow
    assert known.now == "after"
