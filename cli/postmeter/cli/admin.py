"""Workspaces and API keys in the database."""

import datetime
import re
import zoneinfo
from collections.abc import Sequence

import msgspec

from postmeter.shared import api_keys, fingerprints
from postmeter.shared.domains import normal
from postmeter.shared.errors import PostmeterError
from postmeter.shared.postgres import Connection
from postmeter.shared.secret import Secret
from postmeter.shared.sql import Queries

_QUERIES = Queries("postmeter.cli", "queries.sql")
# It stands in URL paths as it is (D3).
_WORKSPACE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_ID_LENGTH = 16


class AdminError(PostmeterError):
    """What was asked for is not possible. The message says why."""


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One API key as the database knows it; the key itself is nowhere."""

    id: str
    workspace: str
    role: str
    scopes: list[str]
    domains: list[str] | None
    created_at: datetime.datetime
    revoked_at: datetime.datetime | None


async def create_workspace(connection: Connection, workspace: str, name: str, timezone: str) -> bool:
    """Add a workspace. Returns False when there is one of that id. Raises AdminError on bad values."""
    if not _WORKSPACE_ID.fullmatch(workspace):
        raise AdminError(f"{workspace!r} is not a workspace id: up to 64 letters, digits, `-` and `_`")
    if timezone not in zoneinfo.available_timezones():
        raise AdminError(f"{timezone!r} is not an IANA time zone, such as `Europe/Berlin`")
    number = await connection.fetchval(_QUERIES["create_workspace"], workspace, name, timezone)
    return number is not None


async def create_key(
    connection: Connection,
    pepper: Secret,
    workspace: str,
    role: str,
    scopes: Sequence[str],
    domains: Sequence[str] = (),
) -> str:
    """Add a key and return it: the only time that it is seen. Raises AdminError."""
    if (role == "domain_admin") != bool(domains):
        raise AdminError("a domain_admin needs its domains, and only a domain_admin has them (--domain)")
    names = [_domain(name) for name in domains]
    key_id, key = api_keys.new()
    stored = await _store_key(connection, key_id, key, pepper, workspace, role, scopes, names)
    if not stored:
        raise AdminError(f"there is no workspace {workspace!r}")
    return key


async def ensure_key(connection: Connection, pepper: Secret, workspace: str, key: Secret) -> None:
    """Store a super_admin key with every scope unless it is there; one that was revoked stays revoked."""
    key_id = api_keys.id_of(key.reveal())
    assert key_id is not None
    await _store_key(connection, key_id, key.reveal(), pepper, workspace, "super_admin", api_keys.SCOPES, ())


async def list_keys(connection: Connection, workspace: str | None) -> list[Key]:
    """Return the keys of a workspace, or of all. Raises AdminError for an unknown workspace."""
    if workspace is not None and not await connection.fetchval(_QUERIES["workspace_exists"], workspace):
        raise AdminError(f"there is no workspace {workspace!r}")
    rows = await connection.fetch(_QUERIES["list_keys"], workspace)
    return [Key(**dict(row)) for row in rows]


async def revoke_key(connection: Connection, key: str) -> str:
    """Make a key, given by its id or whole, worthless and return its id; the gateway follows within seconds.

    Raises AdminError for an unknown id. What may be secret is in no message.
    """
    key_id = key.split("_")[1][:_ID_LENGTH] if key.startswith("pm_") else key
    if await connection.fetchval(_QUERIES["revoke_key"], key_id) is None:
        raise AdminError(f"there is no key with the id {key_id!r}; `postmeter key list` shows all")
    return key_id


async def _store_key(
    connection: Connection,
    key_id: str,
    key: str,
    pepper: Secret,
    workspace: str,
    role: str,
    scopes: Sequence[str],
    domains: Sequence[str],
) -> bool:
    await _check_pepper(connection, pepper)
    digest = api_keys.digest(key, pepper)
    # Said twice is said once; the order stays.
    arguments = (key_id, workspace, digest, role, list(dict.fromkeys(scopes)), list(dict.fromkeys(domains)) or None)
    return await connection.fetchval(_QUERIES["create_key"], *arguments) is not None


async def _check_pepper(connection: Connection, pepper: Secret) -> None:
    """Refuse a pepper that is not the keys' own; where there is no key yet it is from now on."""
    name = fingerprints.KEY_PEPPER
    own = fingerprints.of(name, pepper.reveal().encode())
    row = await connection.fetchrow(fingerprints.QUERIES["of_keys"], name)
    assert row is not None
    if row["value"] not in (None, own):
        raise AdminError(
            "POSTMETER_KEY_PEPPER is not the one under which this database's API keys are stored: the gateway would"
            f" refuse the new one. Give the gateway's, or give up all keys by `postmeter secret forget {name}`"
        )
    if row["value"] is None and not row["has_keys"]:
        await fingerprints.keep(connection, name, own)


def _domain(name: str) -> str:
    try:
        return normal(name)
    except ValueError:
        raise AdminError(f"{name!r} is not a domain name, such as shop.example (--domain)") from None
