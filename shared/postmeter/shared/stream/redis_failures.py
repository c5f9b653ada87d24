"""What a call to Redis fails with while Redis is away."""

from __future__ import annotations

from redis.exceptions import RedisError

FAILURES = (RedisError, OSError, TimeoutError, RuntimeError)
"""For whoever has an answer without Redis. RuntimeError is uvloop's word for a connection that the other side has
closed: redis-py writes on it before anybody has told it so, and passes that on.
"""
