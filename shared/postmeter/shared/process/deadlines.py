"""Work with a deadline: nobody waits for it longer than that, whatever it does when it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")
_given_up = set[asyncio.Future[Any]]()


async def within(seconds: float, work: Awaitable[T]) -> T:
    """What the work returns or raises. Raises TimeoutError once the time is over.

    It is cancelled then, and not waited for, unlike by `asyncio.timeout`: what uses Postgres has more to ask of it, to
    end a transaction and to give a connection back, and a server that hangs does not answer that either.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            raise TimeoutError(f"no answer within {seconds:g} seconds")
        return task.result()
    finally:
        if not task.done():
            _given_up.add(task)  # the loop alone would let it be collected
            task.add_done_callback(_ended)
            task.cancel()
        del task  # its error's traceback has this frame: they would hold each other, and what the frames below hold


def _ended(task: asyncio.Future[Any]) -> None:
    """Whatever it still raises no longer matters to anybody."""
    _given_up.discard(task)
    if not task.cancelled():
        task.exception()
