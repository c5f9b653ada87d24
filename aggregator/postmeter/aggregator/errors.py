"""Errors inside the aggregator."""

from __future__ import annotations

import asyncpg
from redis.exceptions import RedisError

from postmeter.shared.errors import PostmeterError


class LeaseLost(PostmeterError):
    """Another aggregator owns the shard now; nothing of the flush was committed."""


class StreamSetBack(PostmeterError):
    """A stream was recreated or restored from an old file: its ids or its count of entries went backwards."""


REFUSALS = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    ValueError,
    TypeError,
    OverflowError,
)
"""What a record does that can never be counted; anything else is trouble that passes."""

SERIALIZATION = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)

TROUBLE = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    RedisError,
    OSError,
)
"""Trouble of Postgres, Redis and the network that passes; time-outs are OSErrors. Everything is tried again."""
