"""A workspace's thresholds of verdicts: shown and set by the command `postmeter verdicts` and by /v1/verdicts alike."""

from __future__ import annotations

from collections.abc import Mapping

from postmeter.shared.errors import PostmeterError
from postmeter.shared.privacy import audit
from postmeter.shared.privacy.audit import Action
from postmeter.shared.storage import thresholds
from postmeter.shared.storage.postgres import Connection, Pool
from postmeter.shared.storage.sql import Queries
from postmeter.shared.storage.thresholds import Thresholds
from postmeter.shared.text.quoting import quoted

_QUERIES = Queries("postmeter.gateway.workspace", "verdict_settings.sql")


class NoSuchWorkspace(PostmeterError):
    """There is no such workspace."""


async def shown(database: Connection | Pool, workspace: str) -> Thresholds:
    """The thresholds of a workspace (public id), the defaults where it has set nothing. Raises NoSuchWorkspace."""
    row = await database.fetchrow(_QUERIES["show"], workspace)
    if row is None:
        raise _unknown(workspace)
    return Thresholds(**{name: value for name, value in row.items() if value is not None})


async def change(connection: Connection, workspace: str, given: Mapping[str, int], actor: str) -> Thresholds:
    """Set the thresholds that are given, by name, for clicks to come: all of them as they are then.

    actor: see audit.record. Raises ThresholdRefused, NoSuchWorkspace.
    """
    thresholds.check(given)
    values = [given.get(name) for name in Thresholds._fields]
    async with audit.change(connection):
        row = await connection.fetchrow(_QUERIES["set"], workspace, *values, *Thresholds())
        if row is None:
            raise _unknown(workspace)
        await audit.record(connection, workspace, actor, Action.VERDICTS_CHANGED, "", given)
    return Thresholds(**row)


def _unknown(workspace: str) -> NoSuchWorkspace:
    return NoSuchWorkspace(f"there is no workspace {quoted(workspace)}; `postmeter workspace list` shows all")
