"""User agents by number (ADR 0051)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, date, datetime
from operator import attrgetter

from postmeter.aggregator.fold import texts
from postmeter.aggregator.store.dictionary import Dictionary, Digests, Told
from postmeter.shared.storage import partitions
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream.records import Event, Hit

_QUERIES = Queries("postmeter.aggregator.store", "user_agents.sql")
_AGENT = attrgetter("workspace", "user_agent")


class UserAgents(Dictionary[bytes]):
    """The headers as they came. Whoever names one in a month says so once in its row, so that it is kept.

    A user agent beyond the limit, or that was not learnt before the flush, stands in the history as a text.
    """

    _month = date.min

    def unknown(self, told: Collection[Told]) -> list[Told]:
        """Those of these opens and clicks whose user agents are not remembered in this month."""
        month = datetime.now(UTC).date().replace(day=1)
        if month != self._month:
            self.forget()
            self._month = month
        missing = {agent for agent in set(map(_AGENT, told)) - self.ids.keys() if agent[1]}
        return [one for one in told if (one.workspace, one.user_agent) in missing] if missing else []

    async def prepare(self, connection: Connection, hits: Iterable[Hit], events: Iterable[Event]) -> None:
        """Learn those of these opens and clicks."""
        wanted = {(hit.workspace, hit.user_agent) for hit in hits}
        wanted |= {(event.workspace, event.user_agent) for event in events}
        await self.learn(connection, {one for one in wanted - self.ids.keys() if self.text(one[1])})

    def text(self, one: bytes) -> str:
        """The header as it is shown."""
        return texts.user_agent(one) or ""

    async def _find(self, connection: Connection, digests: Digests[bytes]) -> dict[tuple[int, bytes], int]:
        """Not those that another transaction is just taking up, or taking out: they stand as texts this time."""
        asked = [workspace for workspace, _ in digests], list(digests.values()), self._month
        numbers = await connection.fetchval(_QUERIES["find"], *asked)
        if None in numbers:
            rows = await connection.fetch(_QUERIES["use"], *asked)
            used = {(row["workspace"], row["digest"]): row["id"] for row in rows}
            numbers = [
                used.get((one[0], digest)) if number is None else number
                for (one, digest), number in zip(digests.items(), numbers, strict=True)
            ]
        return {one: number for one, number in zip(digests, numbers, strict=True) if number is not None}

    async def _make(self, connection: Connection, digests: Digests[bytes]) -> None:
        rows = [(workspace, digest, self.text(one)) for (workspace, one), digest in digests.items()]
        await connection.execute(_QUERIES["make"], *zip(*rows, strict=True), self._month)

    async def _count(self, connection: Connection, workspace: int, most: int) -> int:
        count: int = await connection.fetchval(_QUERIES["count"], workspace, most)
        return count


async def drop_unused(connection: Connection, today: date, months: int) -> None:
    """Forget those that no history can name any more, given for how many months it is kept.

    A row's time lies at most MONTHS_AHEAD months behind the one in which it was written, and its partition ends with
    that month; one month more for a partition that was in use when its time was over.
    """
    await connection.execute(
        _QUERIES["drop_unused"], partitions.add_months(today, -months - partitions.MONTHS_AHEAD - 1)
    )
