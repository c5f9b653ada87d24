"""Errors inside the aggregator."""

from __future__ import annotations

from collections.abc import Iterable

import asyncpg
from redis.exceptions import RedisError

from postmeter.shared.errors import PostmeterError
from postmeter.shared.text import quoting


class LeaseLost(PostmeterError):
    """Other aggregators own these shards now; nothing of the flush was committed."""

    def __init__(self, shards: Iterable[int]) -> None:
        self.shards = frozenset(shards)
        super().__init__(f"shards {sorted(self.shards)}")


class ShardStalled(PostmeterError):
    """Shards have counted nothing for too long; the message says which, since when and why."""


class StreamSetBack(PostmeterError):
    """A stream was recreated or restored from an old file: its ids or its count of entries went backwards."""

    def __init__(self, shard: int, reason: str) -> None:
        self.shard = shard
        super().__init__(reason)


class ClocksApart(PostmeterError):
    """The clocks of this service and of Postgres are days apart; the message says how far, and what to do."""


class OutOfStep(PostmeterError):
    """Somebody counted the same messages without holding their slots; nothing of the flush was committed."""


SERIALIZATION = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError, OutOfStep)

TROUBLE = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    RedisError,
    OSError,
)
"""Trouble of Postgres, Redis and the network that passes; time-outs are OSErrors. Everything is tried again."""

CLOSED = "the handler is closed"
"""uvloop says so, in a RuntimeError, of a connection that the other side has closed: trouble of the network, too."""

TIME_OUTS = (asyncpg.QueryCanceledError, TimeoutError)
"""A statement took too long; so may what is read next, but less of it does not."""

_OF_THE_DATA = frozenset({"21", "22", "23", "44", "54"})
"""SQLSTATE classes: a row met twice in one statement, data that is not of its type or out of range, a constraint,
a limit such as an index entry's size."""


def in_words(error: BaseException) -> str:
    """The error's kind and what it says, which may hold a caller's text: quoted and cut."""
    if isinstance(error, TimeoutError) and not str(error):
        return "TimeoutError: Postgres or Redis did not answer in time"
    return f"{type(error).__name__}: {quoting.quoted(str(error))}"


def is_of_the_data(error: BaseException) -> bool:
    """Whether what was to be written is to blame, so that it would fail again and again.

    Only then may a record be put aside. Everything else that Postgres says passes, or is to be mended by a person while
    the data waits: connections, serialization, disk and memory, time-outs, privileges, a missing table. What is neither
    of Postgres, Redis nor the network is a record that our own code did not expect.
    """
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "")[:2] in _OF_THE_DATA
    if isinstance(error, RuntimeError) and CLOSED in str(error):
        return False
    if isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError):
        return True  # a value that its column's type cannot hold, found before anything was sent
    return isinstance(error, Exception) and not isinstance(error, (*TROUBLE, PostmeterError, MemoryError))
