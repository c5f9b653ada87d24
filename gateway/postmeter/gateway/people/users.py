"""Users: the people of a workspace."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from postmeter.shared import domains as domain_names
from postmeter.shared.errors import PostmeterError
from postmeter.shared.postgres import Connection, Pool
from postmeter.shared.quoting import quoted
from postmeter.shared.sql import Queries

_QUERIES = Queries("postmeter.gateway.people", "users.sql")
EMAIL_CHARS = 254


class UserRefused(PostmeterError):
    """A user cannot be made or changed so. field: what is to blame, by its name in the API."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Account:
    """Who signs in: workspace number, id, and the hash of the password."""

    workspace: int
    id: str
    password: str


def normal(email: str) -> str:
    """An email in the form in which it is stored and compared. Raises ValueError for what is not one."""
    local, _, domain = email.strip().rpartition("@")
    if not local or not local.isprintable() or " " in local or "@" in local or len(email) > EMAIL_CHARS:
        raise ValueError("not an email address")
    return f"{local.lower()}@{domain_names.normal(domain)}"


async def create(
    connection: Connection, workspace: str, email: str, role: str, domains: Sequence[str] | None
) -> tuple[int, str]:
    """(workspace number, id) of a new user of a workspace (public id), without a password. Raises UserRefused."""
    try:
        address = normal(email)
    except ValueError:
        raise UserRefused("email", f"{quoted(email)} is not an email address") from None
    user = uuid.uuid4()
    number = await connection.fetchval(_QUERIES["create"], workspace, user, address, role, domains)
    if number is None:
        raise UserRefused("email", f"there is no workspace {quoted(workspace)}, or it has a user {quoted(address)}")
    return number, str(user)


async def by_email(pool: Pool, email: str, workspace: str | None) -> Account | None:
    """Who signs in with an email and a password: in the workspace (public id), else where the email was first."""
    row = await pool.fetchrow(_QUERIES["by_email"], email, workspace)
    return None if row is None else Account(row["workspace"], str(row["id"]), row["password"])


async def note_sign_in(connection: Connection, workspace: int, user: str) -> bool:
    """Whether the user may come in at this moment; then that is noted."""
    return await connection.fetchval(_QUERIES["signed_in"], workspace, user) is not None


async def set_password(connection: Connection | Pool, workspace: int, user: str, password: str) -> None:
    """Keep a password's hash."""
    await connection.execute(_QUERIES["set_password"], workspace, user, password)
