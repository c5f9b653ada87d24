"""Users: the people of a workspace; made and changed by the command `postmeter user` and by /v1/users alike."""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import msgspec

from postmeter.gateway.people import links, roles, sessions
from postmeter.gateway.people.links import Purpose
from postmeter.shared.apis.people.users import ROLES
from postmeter.shared.auth.principal import Principal, fits
from postmeter.shared.errors import PostmeterError
from postmeter.shared.privacy import audit
from postmeter.shared.privacy.audit import Action
from postmeter.shared.storage.postgres import Connection, Pool
from postmeter.shared.storage.sql import Queries
from postmeter.shared.text import domains as domain_names
from postmeter.shared.text.quoting import quoted

_QUERIES = Queries("postmeter.gateway.people", "users.sql")
EMAIL_CHARS = 254
MOST, MOST_DOMAINS = 1000, 20_000
"""Users of a workspace, and domains of all of them: they are listed at once."""
_TOO_MANY = f"its users would have more than {MOST_DOMAINS} domains together"
_LISTED = 100_000


class UserRefused(PostmeterError):
    """A user cannot be made or changed like this. field: what is wrong, by its name in the API."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class UserExists(UserRefused):
    """The workspace has a user of that email."""


class NoSuchUser(PostmeterError):
    """There is no such user."""


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A user as the database has them. workspace: its number."""

    workspace_id: str
    workspace: int
    id: uuid.UUID
    email: str
    role: str
    domains: list[str] | None
    has_password: bool
    created_at: datetime
    signed_in_at: datetime | None
    disabled_at: datetime | None

    @property
    def place(self) -> tuple[int, str]:
        """Where the user is kept: workspace number and id."""
        return self.workspace, str(self.id)

    @property
    def principal(self) -> Principal:
        """What the user may do."""
        return roles.principal(str(self.id), self.workspace, self.workspace_id, self.role, self.domains)


@dataclass(frozen=True, slots=True)
class Account:
    """Who signs in: workspace number, id, and the hash of the password."""

    workspace: int
    id: str
    password: str

    @property
    def place(self) -> tuple[int, str]:
        """Where the user is kept: workspace number and id."""
        return self.workspace, self.id


def normal(email: str) -> str:
    """An email in the form in which it is stored and compared. Raises ValueError for what is not one.

    Nor is what only looks like another: a Kelvin sign, which in lower case is a `k`, full-width letters.
    """
    local, _, domain = email.strip().rpartition("@")
    if not local or not local.isprintable() or " " in local or "@" in local or len(email) > EMAIL_CHARS:
        raise ValueError("not an email address")
    if unicodedata.normalize("NFKC", local) != local:
        raise ValueError("not an email address as it is written")
    return f"{local.lower()}@{domain_names.normal(domain)}"


async def create(
    connection: Connection, workspace: str, email: str, role: str, domains: Sequence[str] | None
) -> tuple[int, str]:
    """(workspace number, id) of a new user of a workspace (public id), without a password. Raises UserRefused."""
    address, confined = _normal(email), check(role, domains)
    user = uuid.uuid4()
    number = await connection.fetchval(_QUERIES["create"], workspace, user, address, role, confined, MOST, MOST_DOMAINS)
    if number is not None:
        return number, str(user)
    if await connection.fetchrow(_QUERIES["of_email"], address, workspace, 1) is not None:
        raise UserExists("email", f"the workspace has a user {quoted(address)} already")
    if await connection.fetchval(_QUERIES["workspace"], workspace):
        raise UserRefused("workspace", f"the workspace has {MOST} users, or {_TOO_MANY}; remove those that are gone")
    raise UserRefused("workspace", f"there is no workspace {quoted(workspace)}; `postmeter workspace list` shows all")


def check(role: str, domains: Sequence[str] | None) -> list[str] | None:
    """The domains in the form in which they are stored. Raises UserRefused."""
    if role not in ROLES:
        raise UserRefused("role", f"role takes {', '.join(ROLES)}")
    if domains is None:
        return None
    try:
        names = sorted({domain_names.normal(name) for name in domains})
    except ValueError:
        raise UserRefused("domains", "domains takes domain names, such as shop.example") from None
    if not fits(names):
        raise UserRefused("domains", "domains has too many names, or too long ones, for one user")
    return names


async def listed(connection: Connection | Pool, workspace: str | None) -> list[User]:
    """The users of a workspace (public id), or of all, by email. Raises UserRefused for an unknown workspace."""
    if workspace is not None and not await connection.fetchval(_QUERIES["workspace"], workspace):
        raise UserRefused(
            "workspace", f"there is no workspace {quoted(workspace)}; `postmeter workspace list` shows all"
        )
    return [_user(row) for row in await connection.fetch(_QUERIES["all"], workspace, _LISTED)]


async def of_email(connection: Connection, email: str, workspace: str | None) -> User:
    """The user of an email, in a workspace (public id) or the only one that has it. Raises NoSuchUser, UserRefused."""
    rows = await connection.fetch(_QUERIES["of_email"], _normal(email), workspace, 2)
    if not rows:
        raise NoSuchUser(f"there is no user {quoted(email)}; `postmeter user list` shows all")
    if len(rows) > 1:
        raise UserRefused("workspace", f"{quoted(email)} is in several workspaces: name one (--workspace)")
    return _user(rows[0])


async def hold(connection: Connection, workspace: int, user: str) -> User:
    """A user of a workspace; nobody else changes them until the transaction ends. Raises NoSuchUser."""
    try:
        row = await connection.fetchrow(_QUERIES["one"], workspace, uuid.UUID(user))
    except ValueError:
        row = None
    if row is None:
        raise NoSuchUser(f"there is no user {quoted(user)}")
    return _user(row)


async def change(connection: Connection, user: User) -> None:
    """Store role, domains and disabled_at. Users who may no longer sign in are signed out. Run in a transaction."""
    is_disabled = user.disabled_at is not None
    await connection.execute(_QUERIES["change"], *user.place, user.role, user.domains, is_disabled)
    if is_disabled:
        await sessions.end_all(connection, *user.place)
        await links.void(connection, *user.place)


async def require_room(connection: Connection, user: User) -> None:
    """Raises UserRefused where the workspace's users would have too many domains with the user's."""
    others: int = await connection.fetchval(_QUERIES["domains_of_others"], *user.place)
    if others + len(user.domains or ()) > MOST_DOMAINS:
        raise UserRefused("domains", f"not so many: {_TOO_MANY}")


async def remove(connection: Connection, user: User) -> None:
    """Remove the user, with their sessions and links."""
    await connection.execute(_QUERIES["remove"], *user.place)


async def note(connection: Connection, user: User, action: Action, actor: str, **details: bool) -> None:
    """Note in the audit log what was done to a user, in the transaction that did it. actor: see audit.record."""
    told = {"role": user.role, "domains": user.domains, "disabled": user.disabled_at is not None, **details}
    await audit.record(connection, user.workspace, actor, action, str(user.id), told)


async def password_link(connection: Connection, user: User) -> tuple[Purpose, str]:
    """(purpose, token) of a link to choose a password, for the first time or anew. Run in a transaction."""
    purpose = Purpose.RESET if user.has_password else Purpose.INVITATION
    return purpose, await links.make(connection, *user.place, purpose)


async def by_email(pool: Pool, email: str, workspace: str | None) -> Account | None:
    """Who signs in with an email and a password: in the workspace (public id), else where the email was first."""
    row = await pool.fetchrow(_QUERIES["by_email"], email, workspace)
    return None if row is None else Account(row["workspace"], str(row["id"]), row["password"])


async def vouched_for(connection: Connection, email: str, workspace: str | None) -> tuple[int, str] | None:
    """(workspace number, id) of whom a provider vouches for: in the workspace, else where the email was first."""
    try:
        row = await connection.fetchrow(_QUERIES["vouched_for"], normal(email), workspace)
    except ValueError:
        return None
    return None if row is None else (row["workspace"], str(row["id"]))


async def note_sign_in(connection: Connection, workspace: int, user: str, password: str | None = None) -> bool:
    """Whether the user may sign in at this moment; if so, that is noted. password: the hash that let them in.

    While it was worked out the account may have been disabled, or the password reset. Run in the transaction that
    begins the session: whoever changes the user waits for it, and then ends that session with the others.
    """
    return await connection.fetchval(_QUERIES["signed_in"], workspace, user, password) is not None


async def set_password(connection: Connection, workspace: int, user: str, password: str) -> None:
    """Keep a password's hash."""
    await connection.execute(_QUERIES["set_password"], workspace, user, password)


def _normal(email: str) -> str:
    try:
        return normal(email)
    except ValueError:
        raise UserRefused("email", f"{quoted(email)} is not an email address") from None


def _user(row: asyncpg.Record) -> User:
    return User(**dict(row))
