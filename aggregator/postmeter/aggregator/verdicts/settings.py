"""The workspaces' thresholds, as the command `postmeter verdicts set` stores them."""

from __future__ import annotations

import time

from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.sql import Queries
from postmeter.shared.storage.thresholds import Thresholds

_QUERIES = Queries("postmeter.aggregator.store", "clicks.sql")
REMEMBERED_SECONDS = 1.0
DEFAULTS = Thresholds()


class VerdictSettings:
    """Knows since at most a second ago what each workspace has said."""

    def __init__(self) -> None:
        self._said: dict[int, Thresholds] = {}
        self._read_at = float("-inf")

    async def refresh(self, connection: Connection) -> None:
        """Read them again, if it is time."""
        if time.monotonic() - self._read_at < REMEMBERED_SECONDS:
            return
        rows = await connection.fetch(_QUERIES["settings"])
        self._said = {workspace: Thresholds(*said) for workspace, *said in rows}
        self._read_at = time.monotonic()

    def of(self, workspace: int) -> Thresholds:
        """What holds for the workspace."""
        return self._said.get(workspace, DEFAULTS)
