"""Tokens of signatures that do not cover the body: each is good for what it first came with."""

from __future__ import annotations

import hashlib

from redis.asyncio import Redis

from postmeter.shared.errors import Unavailable
from postmeter.shared.process import logs
from postmeter.shared.stream.redis_clients import FAILURES
from postmeter.shared.stream.streams import token_seen
from postmeter.tracking.webhooks.provider import WebhookSource, refused

KEEP_SECONDS = 26 * 3600
"""Longer than any such signature is taken: twice the widest window, for its time may lie ahead of ours."""


class Tokens:
    """Kept in Redis, where every process of every replica sees them."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._failures = logs.Seldom("webhook tokens not looked up")

    async def claim(self, source: WebhookSource, token: str, content: bytes) -> None:
        """Take a token for `content`; again for the same is fine, for providers try again.

        Raises the refusal of a token that came with something else, and Unavailable while Redis is away:
        what cannot be checked is not taken, and the provider tries again.
        """
        name = token_seen(_signer(source), _digest(token.encode("utf-8", "surrogateescape")))
        digest = _digest(content)
        try:
            if await self._redis.set(name, digest, nx=True, ex=KEEP_SECONDS):
                return
            known = await self._redis.get(name)
        except FAILURES as failure:
            self._failures.note(error=logs.words(failure))
            raise Unavailable("The signature cannot be checked now; try again.", 5) from failure
        if known is not None and known != digest:
            raise refused("The signature's token was used for something else.")


def _signer(source: WebhookSource) -> str:
    """Names who signed: all sources with one secret are one, for a token seen at one of them is good at the others."""
    key = hashlib.blake2b(source.secret.reveal().encode(), digest_size=32).digest()
    return f"{source.provider}-{hashlib.blake2b(key=key, digest_size=12, person=b'postmeter-token').hexdigest()}"


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=12).digest()
