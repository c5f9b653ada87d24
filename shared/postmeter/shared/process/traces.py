"""Traces of what query-service answers: the gateway, query-service, each SQL statement. Off by default (ADR 0036).

Nothing else is traced, and no hit is. Here is what services see of it; `spans` records, and `trace_setting` says which.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from postmeter.shared.storage.postgres import ConnectionClass

HEADER = "traceparent"
"""The header of W3C Trace Context that says which trace a request belongs to. `tracestate` and baggage are not used."""


class Trace:
    """A request of which nothing is recorded. id: 32 hexadecimal digits of one that is recorded, else empty."""

    id = ""

    @property
    def exemplar(self) -> dict[str, str]:
        """The labels by which a metric's exemplar leads to the trace."""
        return {"trace_id": self.id} if self.id else {}

    def belongs_to(self, workspace_id: str) -> None:
        """Whose request it is: a workspace's public id."""

    def answered(self, status: int) -> None:
        """The answer's HTTP status."""

    def pass_on(self, headers: dict[str, str]) -> None:
        """Add what tells query-service of the trace."""


class Traces:
    """Those of a process that records none.

    connection_class: of connections to Postgres whose statements are recorded; None: asyncpg's own.
    """

    connection_class: ConnectionClass | None = None

    def begin(self, method: str, route: str, request_id: str, traceparent: str | None) -> AbstractContextManager[Trace]:
        """A request from outside, while it is answered. It begins a trace of its own, whatever its traceparent says:
        a stranger's word neither makes it recorded nor gives it a trace's id, and is kept as a link.

        route: as in the endpoint table, never the URL that was asked for.
        """
        return nullcontext(UNTRACED)

    def resume(
        self, method: str, route: str, request_id: str, traceparent: str | None
    ) -> AbstractContextManager[Trace]:
        """The same of a request that the gateway has vouched for: a part of the trace that its traceparent names, and
        recorded if that is.
        """
        return nullcontext(UNTRACED)

    async def close(self) -> None:
        """Send what still waits, for a moment only."""


UNTRACED = Trace()
OFF = Traces()
