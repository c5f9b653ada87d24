"""Passwords: argon2id hashes, computed off the event loop, a few at a time."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import sys
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from postmeter.shared.errors import Unavailable
from postmeter.shared.http.fields import invalid

LEAST, MOST = 12, 1024
"""Characters of a password; bytes of it."""
AT_ONCE = 2
"""Hashes at a time. Each takes MEMORY, all together 38 MiB."""
WAITING = 32
"""Further ones are turned away: a flood of sign-ins is not a queue."""
MEMORY, TIME, LANES = 19 * 1024, 2, 1
"""KiB, rounds, threads of one hash: OWASP's first choice of parameters for argon2id."""
_NICE, _LEAST_URGENT = 10, 19
"""How much less urgent than the process's other threads; the number that the least urgent ones have."""
T = TypeVar("T")
_HASHER = PasswordHasher(TIME, MEMORY, LANES)


def check(password: str, email: str, field: str = "password") -> None:
    """Raises FieldRefused for a password that is too short, too long, or known to everybody.

    NIST SP 800-63B: length is what counts; no rules about kinds of characters.
    """
    if len(password) < LEAST or len(password.encode(errors="replace")) > MOST:
        raise invalid(field, f"at least {LEAST} characters, and {MOST} bytes at most")
    if password.strip().lower() in (email, email.partition("@")[0]) or len(set(password)) < 3:
        raise invalid(field, "must not be the email, nor one character repeated")


class Passwords:
    """Hashes and verifies. Memory is bounded by AT_ONCE; the threads give way to those that answer requests."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, "passwords", _give_way)
        self._stand_in = _stand_in()
        self._in_hand = 0

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """The hash that is stored of a password. Raises Unavailable when too many wait."""
        return await self._work(_HASHER.hash, _normal(password))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether `password` is the one that was stored. Takes as long when there is none. Raises Unavailable."""
        matches = await self._work(_matches, stored or self._stand_in, _normal(password))
        return matches and stored is not None

    @staticmethod
    def is_outdated(stored: str) -> bool:
        """Whether it was hashed with other parameters than today's."""
        return _HASHER.check_needs_rehash(stored)

    async def _work(self, function: Callable[..., T], *arguments: object) -> T:
        if self._in_hand >= AT_ONCE + WAITING:
            raise Unavailable("Too many people are signing in at this moment; try again.", 2)
        self._in_hand += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
        finally:
            self._in_hand -= 1


def _matches(stored: str, password: bytes) -> bool:
    try:
        return _HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def _normal(password: str) -> bytes:
    # The same letters typed on another keyboard are the same password. Half a surrogate pair is nobody's.
    return unicodedata.normalize("NFKC", password).encode(errors="replace")


def _stand_in() -> str:
    """A well-formed hash that no password has, so that an unknown email costs the same work."""
    salt, digest = (base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (16, 32))
    return f"$argon2id$v=19$m={MEMORY},t={TIME},p={LANES}${salt}${digest}"


def _give_way() -> None:
    if sys.platform != "linux":  # where each thread has its own
        return
    thread = threading.get_native_id()
    with suppress(OSError):  # an initializer that fails would be the end of all threads, and of signing in
        os.setpriority(os.PRIO_PROCESS, thread, min(_LEAST_URGENT, os.getpriority(os.PRIO_PROCESS, thread) + _NICE))
