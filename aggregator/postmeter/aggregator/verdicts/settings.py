"""The workspaces' thresholds, as the command `postmeter verdicts set` stores them."""

from __future__ import annotations

from postmeter.aggregator.refreshed import Refreshed
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.sql import Queries
from postmeter.shared.storage.thresholds import Thresholds

_QUERIES = Queries("postmeter.aggregator.verdicts", "settings.sql")
DEFAULTS = Thresholds()


class VerdictSettings:
    """What each workspace has set, as read lately."""

    def __init__(self) -> None:
        self._said = Refreshed[dict[int, Thresholds]]({}, _read)

    async def refresh(self, connection: Connection) -> None:
        """Read them again, if it is time."""
        await self._said.refresh(connection)

    def of(self, workspace: int) -> Thresholds:
        """What holds for the workspace."""
        return self._said.now.get(workspace, DEFAULTS)


async def _read(connection: Connection) -> dict[int, Thresholds]:
    rows = await connection.fetch(_QUERIES["settings"])
    return {workspace: Thresholds(*said) for workspace, *said in rows}
