"""What a call to Redis fails with while Redis is away."""

from __future__ import annotations

from redis.exceptions import RedisError

FAILURES = (RedisError, OSError, TimeoutError, RuntimeError)
"""For code that can do without Redis. uvloop raises RuntimeError for a connection that the other side has closed:
redis-py writes on it before it has heard of that, and passes the error on.
"""
