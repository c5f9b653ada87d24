"""Waiting for a condition, never for time to pass."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.product import PATIENCE


async def until_so(condition: Callable[[], bool]) -> None:
    """Return once it holds; fails after PATIENCE."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = PATIENCE) -> None:
    """Wait for a condition, as `wait_for` of tests/product.py does; fails after `seconds`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    pause = 0.005
    while not await condition():
        assert loop.time() < deadline, "waited in vain"
        await asyncio.sleep(pause)
        pause = min(pause * 1.25, 0.05)
