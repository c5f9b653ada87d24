"""Workspaces: made, changed and listed, by the command `postmeter workspace` and by local mode."""

from __future__ import annotations

import re
import zoneinfo
from datetime import datetime
from typing import NamedTuple

from postmeter.shared.errors import PostmeterError
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.sql import Queries
from postmeter.shared.text.quoting import quoted

_QUERIES = Queries("postmeter.gateway.workspace", "registry.sql")
# It stands in URL paths as it is, in those of the document Workspaces.
_WORKSPACE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)


class WorkspaceRefused(PostmeterError):
    """A workspace cannot be made, or changed, like this. The message says what would be right."""


class Workspace(NamedTuple):
    """One workspace. id: the public one. timezone: an IANA name."""

    id: str
    name: str
    timezone: str
    created_at: datetime


async def create(connection: Connection, workspace: str, name: str, timezone: str) -> bool:
    """Add a workspace. Returns False when there is one of that id already. Raises WorkspaceRefused for bad values."""
    if not _WORKSPACE_ID.fullmatch(workspace):
        raise WorkspaceRefused(f"{workspace!r} is not a workspace id: up to 64 letters, digits, `-` and `_`")
    _require_zone(timezone)
    number = await connection.fetchval(_QUERIES["create_workspace"], workspace, name, timezone)
    return number is not None


async def change(connection: Connection, workspace: str, name: str | None, timezone: str | None) -> None:
    """Give a workspace another name, time zone, or both. Raises WorkspaceRefused, also where there is none such."""
    if timezone is not None:
        _require_zone(timezone)
    if await connection.fetchval(_QUERIES["change_workspace"], workspace, name, timezone) is None:
        raise WorkspaceRefused(f"there is no workspace {quoted(workspace)}; `postmeter workspace list` shows all")


def _require_zone(timezone: str) -> None:
    if timezone not in zoneinfo.available_timezones():
        raise WorkspaceRefused(f"{timezone!r} is not an IANA time zone, such as `Europe/Berlin`")


async def listed(connection: Connection) -> list[Workspace]:
    """All workspaces, by id."""
    return [Workspace(**row) for row in await connection.fetch(_QUERIES["workspaces"])]
