"""API keys: made, listed and revoked, by the command `postmeter key` and by /v1/keys alike."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias

import msgspec

from postmeter.shared.auth import api_keys, fingerprints
from postmeter.shared.auth.principal import fits
from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import PostmeterError
from postmeter.shared.privacy import audit
from postmeter.shared.privacy.audit import Action
from postmeter.shared.storage.postgres import Connection, Pool
from postmeter.shared.storage.sql import Queries
from postmeter.shared.text.domains import normal
from postmeter.shared.text.quoting import quoted

_QUERIES = Queries("postmeter.gateway.keys", "registry.sql")
MOST, MOST_DOMAINS = 1000, 20_000
"""Valid keys that a workspace may have, and domains of all of them: they are listed at once."""
_LISTED = 100_000
_ID_LENGTH = 16
Database: TypeAlias = "Connection | Pool"


class KeyRefused(PostmeterError):
    """A key cannot be made like this. field: what is wrong, by its name in the API."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class NoSuchKey(PostmeterError):
    """There is no key of that id."""


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One API key as the database knows it; the key itself is nowhere. workspace: its public id."""

    id: str
    workspace: str
    role: str
    scopes: list[str]
    domains: list[str] | None
    name: str
    created_at: datetime
    revoked_at: datetime | None


async def create(
    database: Database,
    pepper: Secret,
    workspace: str,
    role: str,
    scopes: Sequence[str],
    domains: Sequence[str] = (),
    name: str = "",
) -> tuple[Key, str]:
    """A new key of a workspace (public id), and the key itself: the only time that it is seen. Raises KeyRefused."""
    if role not in api_keys.ROLES:
        raise KeyRefused("role", f"role takes {', '.join(api_keys.ROLES)}")
    if not scopes or not set(scopes) <= set(api_keys.SCOPES):
        raise KeyRefused("scopes", f"scopes takes some of {', '.join(api_keys.SCOPES)}")
    if (role == "domain_admin") != bool(domains):
        raise KeyRefused("domains", "a domain_admin needs its domains, and only a domain_admin has them (--domain)")
    names = read_domains(domains)
    key_id, key = api_keys.new()
    created_at = await _store(database, key_id, key, pepper, workspace, role, scopes, names, name)
    if created_at is None:
        if await database.fetchval(_QUERIES["workspace"], workspace):
            has = f"the workspace has {MOST} keys, or would have keys for more than {MOST_DOMAINS} domains together"
            raise KeyRefused("workspace", f"{has}; revoke those that are not used")
        raise KeyRefused(
            "workspace", f"there is no workspace {quoted(workspace)}; `postmeter workspace list` shows all"
        )
    made = Key(
        id=key_id,
        workspace=workspace,
        role=role,
        scopes=_each_once(scopes),
        domains=names or None,
        name=name,
        created_at=created_at,
        revoked_at=None,
    )
    return made, key


async def note_created(connection: Connection, made: Key, actor: str) -> None:
    """Note a new key in the audit log, in the transaction that made it. actor: see audit.record."""
    told = {"name": made.name, "role": made.role, "scopes": made.scopes, "domains": made.domains}
    await audit.record(connection, made.workspace, actor, Action.KEY_CREATED, made.id, told)


async def ensure(database: Database, pepper: Secret, workspace: str, key: Secret) -> None:
    """Store a super_admin key unless it is there, and give it every scope; one that was revoked stays revoked."""
    key_id = api_keys.id_of(key.reveal())
    assert key_id is not None
    await _store(database, key_id, key.reveal(), pepper, workspace, "super_admin", api_keys.SCOPES, (), "")
    await database.execute(_QUERIES["widen"], key_id, list(api_keys.SCOPES))


async def listed(database: Database, workspace: str | None, *, revoked: bool = False) -> list[Key]:
    """The keys of a workspace (public id), or of all, in the order in which they were made. Raises KeyRefused."""
    if workspace is not None and not await database.fetchval(_QUERIES["workspace"], workspace):
        raise KeyRefused(
            "workspace", f"there is no workspace {quoted(workspace)}; `postmeter workspace list` shows all"
        )
    return [Key(**dict(row)) for row in await database.fetch(_QUERIES["all"], workspace, revoked, _LISTED)]


async def find(database: Database, workspace: str, key_id: str) -> Key:
    """A key of a workspace (public id) that is not revoked. Raises NoSuchKey."""
    row = await database.fetchrow(_QUERIES["one"], workspace, key_id) if key_id.isalnum() else None
    if row is None:
        raise NoSuchKey(f"there is no key with the id {quoted(key_id)} that is not revoked")
    return Key(**dict(row))


async def revoke(connection: Connection, key: str, actor: str) -> tuple[str, datetime]:
    """Make a key, given by its id or whole, worthless: its id, and since when; gateways follow within seconds.

    actor: see audit.record. Raises NoSuchKey. What may be secret is in no message.
    """
    key_id = key.split("_")[1][:_ID_LENGTH] if key.startswith("pm_") else key
    async with audit.change(connection):
        row = await connection.fetchrow(_QUERIES["revoke"], key_id)
        if row is None:
            raise NoSuchKey(f"there is no key with the id {quoted(key_id)}; `postmeter key list` shows all")
        await audit.record(connection, row["workspace"], actor, Action.KEY_REVOKED, key_id)
    return key_id, row["revoked_at"]


def read_domains(names: Sequence[str]) -> list[str]:
    """Domains in the form in which they are stored, each once. Raises KeyRefused."""
    found = []
    for name in names:
        try:
            found.append(normal(name))
        except ValueError:
            message = f"{quoted(name)} is not a domain name, such as shop.example (--domain)"
            raise KeyRefused("domains", message) from None
    if not fits(found):
        raise KeyRefused("domains", "these are too many, or too long, for one key: use several")
    return _each_once(found)


def _each_once(values: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(values))


async def _store(
    database: Database,
    key_id: str,
    key: str,
    pepper: Secret,
    workspace: str,
    role: str,
    scopes: Sequence[str],
    domains: Sequence[str],
    name: str,
) -> datetime | None:
    await _check_pepper(database, pepper)
    digest = api_keys.digest(key, pepper)
    arguments = (key_id, workspace, digest, role, _each_once(scopes), list(domains) or None, name, MOST, MOST_DOMAINS)
    created_at: datetime | None = await database.fetchval(_QUERIES["create"], *arguments)
    return created_at


async def _check_pepper(database: Database, pepper: Secret) -> None:
    """Refuse a pepper that is not the keys' own; where there is no key yet it is from now on."""
    name = fingerprints.KEY_PEPPER
    own = fingerprints.of(name, pepper.reveal().encode())
    row = await database.fetchrow(fingerprints.QUERIES["of_keys"], name)
    assert row is not None
    if row["value"] not in (None, own):
        raise KeyRefused(
            "pepper",
            "POSTMETER_KEY_PEPPER is not the one under which this database's API keys are stored: the gateway would"
            f" refuse the new one. Give the gateway's, or give up all keys by `postmeter secret forget {name}`",
        )
    if row["value"] is None and not row["has_keys"]:
        await fingerprints.keep(database, name, own)
