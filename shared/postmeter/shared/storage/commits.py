"""Whether a change may have been made without confirmation: from when COMMIT was sent until it is answered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

from postmeter.shared.storage.postgres import Connection


class Commits:
    """Of what is done under `watched`. sent: one has gone out, so that something may be changed, or is."""

    sent = False


_watching: ContextVar[Commits | None] = ContextVar("watching", default=None)


@contextmanager
def watched() -> Iterator[Commits]:
    """What is told of the transactions inside, and in tasks that are made inside."""
    commits = Commits()
    token = _watching.set(commits)
    try:
        yield commits
    finally:
        _watching.reset(token)


@asynccontextmanager
async def transaction(connection: Connection) -> AsyncIterator[None]:
    """A transaction, or a part of one, that is noted before it is committed."""
    is_whole = not connection.is_in_transaction()
    async with connection.transaction():
        yield
        commits = _watching.get()
        if is_whole and commits is not None:
            commits.sent = True
