"""Whether a secret is still the same as before: Postgres keeps a fingerprint of each (ADR 0037).

A fingerprint is an HMAC under the secret. If the secret is random, all it reveals is whether another one is the same.
"""

from __future__ import annotations

import hmac
from datetime import datetime
from typing import NamedTuple, TypeAlias

from postmeter.shared.storage.postgres import Connection, Pool
from postmeter.shared.storage.sql import Queries

QUERIES = Queries("postmeter.shared.auth", "fingerprints.sql")
KEY_PEPPER = "key-pepper"
_BYTES = 16
Database: TypeAlias = "Connection | Pool"


class Fingerprint(NamedTuple):
    """A fingerprint that Postgres keeps. since: when it was first seen."""

    name: str
    value: bytes
    since: datetime


def of(name: str, secret: bytes) -> bytes:
    """The fingerprint of the secret of this name."""
    return hmac.digest(secret, f"postmeter-fingerprint-1\0{name}".encode(), "sha256")[:_BYTES]


def of_token_key(key_id: int) -> str:
    """What the key of POSTMETER_TOKEN_KEYS with this id is called."""
    return f"token-key-{key_id}"


def shown(value: bytes) -> str:
    """As much of a fingerprint as people need to tell two apart."""
    return value.hex()[:8]


async def kept(database: Database) -> dict[str, Fingerprint]:
    """All that are kept, by name."""
    return {row["name"]: Fingerprint(**row) for row in await database.fetch(QUERIES["kept"])}


async def keep(database: Database, name: str, value: bytes) -> None:
    """Keep one, unless there is one of that name."""
    await database.execute(QUERIES["keep"], name, value)


async def forget(connection: Connection, name: str) -> bool:
    """Forget one: the next secret of that name is accepted as the right one. Returns whether there was one."""
    return await connection.fetchval(QUERIES["forget"], name) is not None
