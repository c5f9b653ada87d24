"""How often a password may be tried (ADR 0042): by address, and by account.

Whoever has lately signed in to an account from the same place has tries of their own there. Strangers share the
account's: they can keep each other waiting, and nobody who is known. Links, keys and sessions cannot be guessed, so
they are not counted here; how often an address asks whose a link is, is counted separately.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable
from importlib import resources

from redis.asyncio import Redis

from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import RequestError
from postmeter.shared.http.clients.networks import network_of
from postmeter.shared.process import logs
from postmeter.shared.stream import streams
from postmeter.shared.stream.redis_clients import FAILURES

OF_ADDRESS = 100
OF_ACCOUNT = 10
"""Tries in WINDOW_SECONDS. All may come at once; after that one every WINDOW_SECONDS / OF_ACCOUNT."""
WINDOW_SECONDS = 600
KNOWN_SECONDS = 30 * 86400
"""How long an address is known to an account."""
DEADLINE_SECONDS = 2.0
_SCRIPT = resources.files("postmeter.gateway.limits").joinpath("limit.lua").read_text()


class Throttle:
    """Counts in Redis, so that all gateways count together. pepper: hides emails and addresses there."""

    def __init__(self, redis: Redis, pepper: Secret) -> None:
        self._redis = redis
        self._script = redis.register_script(_SCRIPT)
        self._pepper = pepper.reveal().encode()
        self._failures = logs.Seldom("nobody may try to sign in: Redis does not answer")

    async def count(self, email: str, address: str) -> None:
        """Count a try, whether there is such an account or not. Raises RequestError 429, or 503 without Redis.

        Without Redis nobody could be kept from guessing, so nobody may try.
        """
        await self._refuse_or_pass(self._password_wait(email, address), "Passwords cannot be checked now")

    async def count_link(self, address: str) -> None:
        """Count a look at a link. Raises as `count`."""
        looks = self._wait(self._name("", network_of(address), "link"), OF_ADDRESS)
        await self._refuse_or_pass(looks, "Links cannot be looked at now")

    async def _refuse_or_pass(self, waiting: Awaitable[int], away: str) -> None:
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                wait = await waiting
        except FAILURES as error:
            self._failures.note(error=logs.words(error))
            message = f"{away}; try again, or use a link."
            raise RequestError(503, "UNAVAILABLE", message, None, {"Retry-After": "1"}) from None
        if wait:
            message = f"Too many tries; try again in {wait} s, or use a link."
            raise RequestError(429, "RATE_LIMITED", message, None, {"Retry-After": str(wait)})

    async def _password_wait(self, email: str, address: str) -> int:
        account, pair = self._name(email), self._name(email, network_of(address))
        is_known = await self._redis.exists(streams.known_sign_in(pair))
        wait = await self._wait(self._name("", network_of(address)), OF_ADDRESS)
        return wait or await self._wait(pair if is_known else account, OF_ACCOUNT)

    async def succeeded(self, email: str, address: str) -> None:
        """Remember that the address has signed in to the account."""
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                pair = self._name(email, network_of(address))
                await self._redis.set(streams.known_sign_in(pair), b"", ex=KNOWN_SECONDS)
        except FAILURES as error:
            logs.get().warning("a sign-in is not remembered: Redis does not answer", error=logs.words(error))

    async def _wait(self, name: str, tries: int) -> int:
        """Seconds until one more try is let through; 0: this one is."""
        passed, *_, wait = await self._script([streams.sign_in(name)], [tries, WINDOW_SECONDS])
        return 0 if passed else max(1, int(wait))

    def _name(self, *parts: str) -> str:
        text = "\0".join(("sign-in", *parts)).encode(errors="replace")
        return hmac.new(self._pepper, text, hashlib.sha256).hexdigest()[:32]
