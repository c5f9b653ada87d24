"""Counts entries of a stream whatever is in them: what makes a flush fail is put aside, everything else counts.

Entries are halved and each half is counted for good, so that what is well is not held up and the position moves on.
Of a single entry that fails the records are halved in trials, of which nothing stays. All this only for failures that
are the data's (`errors.is_of_the_data`): while Postgres is away, full or slow the error is raised and nothing is put
aside.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from postmeter.aggregator.errors import in_words, is_of_the_data
from postmeter.aggregator.flush import Flusher, Outcome
from postmeter.aggregator.stream.batches import Batch, reject
from postmeter.aggregator.stream.lease import Lease
from postmeter.shared import logs, partitions
from postmeter.shared.postgres import Connection
from postmeter.shared.records import Record

Work = list[tuple[Batch, str]]
"""Entries of one shard in their order, each with its position."""
Refused = dict[int, Exception]
"""By the records' identity, what Postgres or the fold says against them."""


class Counting:
    """Counts for one shard. done: told of each flush, once the lease's position has moved with it."""

    def __init__(self, flusher: Flusher, lease: Lease, done: Callable[[Outcome], Awaitable[None]]) -> None:
        self._flusher = flusher
        self._lease = lease
        self._done = done

    async def count(self, connection: Connection, work: Work) -> None:
        """Count these entries. Raises LeaseLost and failures that are not the data's: the rest is to be read again."""
        failure = await self._flush(connection, work)
        if failure is not None:
            # A month that is missing is refused as a record is, though no record is to blame.
            await partitions.ensure_now(connection)
            await self._in_parts(connection, work)

    async def _in_parts(self, connection: Connection, work: Work) -> None:
        middle = len(work) // 2
        for part in (work[:middle], work[middle:]) if middle else (work,):
            failure = await self._flush(connection, part)
            if failure is None:
                continue
            if len(part) > 1:
                await self._in_parts(connection, part)
            else:
                await self._alone(connection, *part[0])

    async def _flush(self, connection: Connection, work: Work, *, release: bool = True) -> Exception | None:
        """Count and move on; or the failure, if it is the data's."""
        position = work[-1][1]
        try:
            outcome = await self._flusher.flush(
                connection, self._lease, [batch for batch, _ in work], position, release=release
            )
        except Exception as error:
            if not is_of_the_data(error):
                raise
            return error
        await self._moved(position, outcome)
        return None

    async def _moved(self, position: str, outcome: Outcome) -> None:
        self._lease.position = position
        await self._done(outcome)

    async def _alone(self, connection: Connection, batch: Batch, position: str) -> None:
        """Count a single entry that was refused, without what is to blame."""
        if await self._flush(connection, [(batch, position)], release=False) is None:
            return  # It is what waits for one of its messages; the sweep finds it.
        refused = await self._refused(connection, batch)
        kept = [record for record in batch.records if id(record) not in refused]
        aside = [
            reject(record, _reason(refused[id(record)]), batch.id) for record in batch.records if id(record) in refused
        ]
        failure = await self._flush(
            connection, [(Batch(batch.id, kept, batch.rejected + aside), position)], release=False
        )
        if failure is not None:
            # No record of it is to blame, nor any two: its id, or what nobody thought of.
            aside = [reject(record, _reason(failure), batch.id) for record in batch.records]
            outcome = await self._flusher.bury(connection, self._lease, batch.rejected + aside, position)
            await self._moved(position, outcome)
        logs.get().error(
            "records put aside: they cannot be counted",
            shard=self._lease.shard,
            entry=position,
            n=len(aside),
            of=len(batch.records),
            workspaces=sorted({one.workspace for one in aside if one.workspace is not None}),
            reason=aside[0].reason if aside else "",
        )

    async def _refused(self, connection: Connection, batch: Batch) -> Refused:
        if await self._flusher.refusal(connection, self._lease, Batch(batch.id)) is not None:
            return {}
        refused: Refused = {}
        await self._find_alone(connection, batch.id, batch.records, refused)
        rest = [record for record in batch.records if id(record) not in refused]
        await self._find_together(connection, batch.id, [], rest, refused)
        return refused

    async def _find_alone(self, connection: Connection, batch: bytes, records: list[Record], refused: Refused) -> None:
        """Records that are refused by themselves, by halving."""
        failure = await self._flusher.refusal(connection, self._lease, Batch(batch, records))
        if failure is None:
            return
        if len(records) == 1:
            refused[id(records[0])] = failure
            return
        middle = len(records) // 2
        await self._find_alone(connection, batch, records[:middle], refused)
        await self._find_alone(connection, batch, records[middle:], refused)

    async def _find_together(
        self, connection: Connection, batch: bytes, kept: list[Record], more: list[Record], refused: Refused
    ) -> None:
        """Records that are refused beside those in `kept`, which takes up the others."""
        if not more:
            return
        failure = await self._flusher.refusal(connection, self._lease, Batch(batch, kept + more))
        if failure is None:
            kept += more
        elif len(more) == 1:
            refused[id(more[0])] = failure
        else:
            middle = len(more) // 2
            await self._find_together(connection, batch, kept, more[:middle], refused)
            await self._find_together(connection, batch, kept, more[middle:], refused)


def _reason(failure: Exception) -> str:
    return f"refused: {in_words(failure)}"
