"""What is kept of a recipient instead of the address: a hash, under POSTMETER_RECIPIENT_HASH_KEY if there is one.

Addresses can be guessed, so a plain hash can be reversed by trying; under a key, only by whoever has the key. Every
service that hashes addresses is given the same key: `use` once, when it starts.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import re
from asyncio import timeout
from dataclasses import dataclass

from msgspec import UnsetType

from postmeter.shared.auth import fingerprints
from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import SettingsError
from postmeter.shared.http.fields import invalid
from postmeter.shared.storage.postgres import AWAY, Pool
from postmeter.shared.text import addresses

NAME = "POSTMETER_RECIPIENT_HASH_KEY"
FINGERPRINT = "recipient-hash-key"
KEY_CHARS = 16
"""The least: the fingerprint of a shorter key could be found by trying."""
CHECK_SECONDS = 3.0
_HASH = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class RecipientSettings:
    """recipient_hash_key: what recipients' addresses are hashed under; without it hashes are plain SHA-256."""

    recipient_hash_key: Secret | None = None

    def __post_init__(self) -> None:
        key = self.recipient_hash_key
        if key is not None and len(key.reveal()) < KEY_CHARS:
            raise SettingsError(f"{NAME} takes at least {KEY_CHARS} characters, such as `openssl rand -hex 32` makes")


class _Key:
    """The key of this process; empty: none."""

    bytes = b""


def use(key: Secret | None) -> None:
    """Hash under this key from now on, in this process."""
    _Key.bytes = b"" if key is None else key.reveal().encode()


def hash_of(address: str) -> str:
    """An address' hash as 64 hex digits: all ways to write the address have the same.

    SHA-256 of its canonical form, or its HMAC-SHA256 under the key.
    """
    text = addresses.canonical(address).encode()
    return hmac.digest(_Key.bytes, text, "sha256").hex() if _Key.bytes else hashlib.sha256(text).hexdigest()


def is_hash(text: str) -> bool:
    """Whether a text is one, as `hash_of` writes it."""
    return _HASH.fullmatch(text) is not None


def hash_asked_for(to: str | UnsetType, to_hash: str | UnsetType) -> str:
    """The hash of the recipient that a request names, by `to` (an address) or `to_hash`. Raises FieldRefused unless
    exactly one of them is given, and valid.
    """
    if isinstance(to, str) == isinstance(to_hash, str):
        raise invalid("to", "give one of to and to_hash.")
    if isinstance(to_hash, str):
        if not is_hash(to_hash.lower()):
            raise invalid("to_hash", "takes 64 hexadecimal digits, as messages show it.")
        return to_hash.lower()
    assert isinstance(to, str)
    try:
        if "\0" in to:
            raise ValueError
        return hash_of(addresses.read(to)[0])
    except (ValueError, UnicodeEncodeError):
        raise invalid("to", "not an email address.") from None


async def another_key(pool: Pool, key: Secret | None, *, keeps: bool) -> str | None:
    """What is to be said where the database's hashes are under another key. keeps: a first one is kept as theirs.

    What was hashed without a key before does not count: from now on recipients have other hashes.
    """
    own = None if key is None else fingerprints.of(FINGERPRINT, key.reveal().encode())
    kept = (await fingerprints.kept(pool)).get(FINGERPRINT)
    if kept is None and own is not None and keeps:
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("SET TRANSACTION READ WRITE")
            await fingerprints.keep(connection, FINGERPRINT, own)
            kept = (await fingerprints.kept(connection))[FINGERPRINT]
    if kept is None or kept.value == own:
        return None
    ours = "it is not set" if own is None else f"its fingerprint is {fingerprints.shown(own)}"
    return (
        f"{NAME} is not the one under which this database's recipients are hashed, so nobody would be found again, nor"
        f" what they chose: {ours}, and since {kept.since:%Y-%m-%d} it was {fingerprints.shown(kept.value)}. Put the"
        " old one back. To go on with another, under which all recipients are new: `postmeter secret forget"
        f" {FINGERPRINT}`"
    )


async def check(pool: Pool | None, key: Secret | None, *, keeps: bool) -> None:
    """`use` the key. Raises SettingsError where it is another than before; not where Postgres cannot tell now."""
    use(key)
    if pool is None:
        return
    said = None
    with contextlib.suppress(*AWAY):  # or the schema is not there yet
        async with timeout(CHECK_SECONDS):
            said = await another_key(pool, key, keeps=keeps)
    if said is not None:
        raise SettingsError(said)
