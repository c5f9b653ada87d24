"""One-time links: to sign in without a password, or to choose one. Each works once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from postmeter.gateway.people import bearer_tokens
from postmeter.shared.storage.postgres import Connection, Pool
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.gateway.people", "links.sql")


class Purpose(StrEnum):
    """What a link is for: to sign in; to set a first password, or a new one."""

    SIGN_IN = "sign-in"
    INVITATION = "invitation"
    RESET = "reset"


LIFETIMES = {
    Purpose.SIGN_IN: timedelta(hours=24),
    Purpose.INVITATION: timedelta(days=7),
    Purpose.RESET: timedelta(hours=24),
}


async def make(connection: Connection, workspace: int, user: str, purpose: Purpose) -> str:
    """The token of a new link; the user's earlier link for the purpose stops working. Run in a transaction."""
    token, digest = bearer_tokens.new(workspace)
    await connection.execute(_QUERIES["void"], workspace, user, purpose.value)
    await connection.execute(_QUERIES["make"], workspace, digest, user, purpose.value, LIFETIMES[purpose])
    return token


def url(base: str, purpose: Purpose, token: str) -> str:
    """The link that a person opens. base: the gateway's URL.

    The token stands in the fragment: no server, proxy or Referer header is told it, and who only fetches the page, as
    scanners do, has not used it.
    """
    return f"{base.rstrip('/')}/login#{purpose.value}={token}"


@dataclass(frozen=True, slots=True)
class Link:
    """A link that is good. user: workspace number and id. workspace: its public id."""

    purpose: Purpose
    user: tuple[int, str]
    email: str
    workspace: str


async def find(pool: Pool, token: str) -> Link | None:
    """A valid link, which stays valid; None for any other."""
    place = bearer_tokens.read(token)
    row = None if place is None else await pool.fetchrow(_QUERIES["find"], *place)
    if place is None or row is None:
        return None
    return Link(Purpose(row["purpose"]), (place[0], str(row["id"])), row["email"], row["workspace_id"])


async def use(connection: Connection, token: str) -> bool:
    """Whether the link was good until now; it is used up by this.

    Run in a transaction that holds its user's row: two that take rows in another order would wait for each other.
    """
    place = bearer_tokens.read(token)
    return place is not None and await connection.fetchval(_QUERIES["use"], *place) is not None


async def void(connection: Connection, workspace: int, user: str) -> None:
    """Void all links of a user."""
    await connection.execute(_QUERIES["void"], workspace, user, None)
