"""Whether POSTMETER_KEY_PEPPER is the one under which the database's API keys are stored (ADR 0037)."""

from __future__ import annotations

import asyncio
import contextlib

from postmeter.shared.auth import fingerprints
from postmeter.shared.auth.fingerprints import KEY_PEPPER, QUERIES
from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import SettingsError
from postmeter.shared.process import logs
from postmeter.shared.storage.postgres import AWAY, Pool

CHECK_SECONDS = 3.0
RETRY_SECONDS = 2.0


class Pepper:
    """Compares the pepper's fingerprint with the one that is kept, and keeps it once it is known to be right.

    It is right if no key was stored before, or as soon as a key has been verified under it.
    """

    def __init__(self, pool: Pool, pepper: Secret) -> None:
        self._pool = pool
        self._own = fingerprints.of(KEY_PEPPER, pepper.reveal().encode())
        self._checked = self._is_kept = False
        self._keeping: asyncio.Task[None] | None = None

    async def check(self) -> None:
        """Raise SettingsError where the keys are stored under another pepper; not where Postgres cannot tell now."""
        with contextlib.suppress(*AWAY):  # or the schema is not there yet
            async with asyncio.timeout(CHECK_SECONDS):
                await self._check()

    async def until_checked(self) -> None:
        """Return once Postgres has answered. Raises as `check`."""
        while not self._checked:
            await asyncio.sleep(RETRY_SECONDS)
            await self.check()

    async def _check(self) -> None:
        row = await self._pool.fetchrow(QUERIES["of_keys"], KEY_PEPPER)
        assert row is not None
        kept, since = row["value"], row["since"]
        if kept is None and not row["has_keys"]:
            await self._keep()
        elif kept not in (None, self._own):
            raise SettingsError(
                "POSTMETER_KEY_PEPPER is not the one under which this database's API keys are stored, so every key"
                f" would be refused: its fingerprint is {fingerprints.shown(self._own)}, and since {since:%Y-%m-%d} it"
                f" was {fingerprints.shown(kept)}. Put the old one back. To give up all keys and go on with the new"
                f" one: `postmeter secret forget {KEY_PEPPER}`, then make new keys"
            )
        self._checked = True
        self._is_kept = self._is_kept or kept is not None

    def is_right(self) -> None:
        """A key has been verified under it."""
        if self._checked and not self._is_kept and self._keeping is None:
            self._keeping = asyncio.create_task(self._keep_soon())

    async def _keep_soon(self) -> None:
        try:
            await self._keep()
        except AWAY as error:
            logs.get().info(
                "the pepper's fingerprint could not be kept; again with the next key", error=logs.words(error)
            )
            self._keeping = None

    async def _keep(self) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            # All else that the gateway does is read-only.
            await connection.execute("SET TRANSACTION READ WRITE")
            await fingerprints.keep(connection, KEY_PEPPER, self._own)
        self._is_kept = True
