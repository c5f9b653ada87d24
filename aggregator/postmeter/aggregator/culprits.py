"""Counts entries of a stream whatever is in them: records that make a flush fail are put aside, all others count.

Entries are halved and each half is counted for good, so that good records are not held up and the position moves on.
If a single entry fails, its records are halved in trials that leave nothing behind. All this happens only for failures
that are the data's (`errors.is_of_the_data`): while Postgres is away, full or slow the error is raised and nothing is
put aside.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from postmeter.aggregator.errors import in_words, is_of_the_data
from postmeter.aggregator.flush import Flusher
from postmeter.aggregator.outcome import Outcome
from postmeter.aggregator.store import server_run
from postmeter.aggregator.stream.batches import Batch, reject
from postmeter.aggregator.stream.lease import Lease, Move
from postmeter.shared.process import logs
from postmeter.shared.storage import partitions
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.stream.records import Record

Work = list[tuple[Batch, Lease, str]]
"""Entries of shards, each shard's in their order, with their positions."""
Refused = dict[int, Exception]
"""By the records' identity, what Postgres or the fold says against them."""


class Counting:
    """Counts entries. done: told of each flush and of the shards that it moved, once their leases say so."""

    def __init__(self, flusher: Flusher, done: Callable[[Outcome, Sequence[Move]], Awaitable[None]]) -> None:
        self._flusher = flusher
        self._done = done

    async def count(self, connection: Connection, home: Lease, work: Work) -> None:
        """Count these entries; live totals grow under the shard of `home`, which is held.

        Raises LeaseLost, ClocksApart, and failures that are not the data's: the rest is to be read again.
        """
        failure = await self._flush(connection, home, work)
        if failure is not None:
            # No record is to blame for a missing month, though it is refused as one, nor for a clock that jumped.
            await server_run.compare_clocks(connection)
            await partitions.ensure_now(connection)
            await self._in_parts(connection, home, work)

    async def _in_parts(self, connection: Connection, home: Lease, work: Work) -> None:
        middle = len(work) // 2
        for part in (work[:middle], work[middle:]) if middle else (work,):
            failure = await self._flush(connection, home, part)
            if failure is None:
                continue
            if len(part) > 1:
                await self._in_parts(connection, home, part)
            else:
                await self._alone(connection, *part[0])

    async def _flush(
        self, connection: Connection, home: Lease, work: Work, *, release: bool = True
    ) -> Exception | None:
        """Count and move on; or the failure, if it is the data's."""
        moves = _moves(home, work)
        try:
            outcome = await self._flusher.flush(connection, moves, [batch for batch, *_ in work], release=release)
        except Exception as error:
            if not is_of_the_data(error):
                raise
            return error
        await self._moved(moves, outcome)
        return None

    async def _moved(self, moves: Sequence[Move], outcome: Outcome) -> None:
        for move in moves:
            move.lease.position = move.to
        await self._done(outcome, moves)

    async def _alone(self, connection: Connection, batch: Batch, lease: Lease, position: str) -> None:
        """Count a single entry that was refused, without what is to blame."""
        if await self._flush(connection, lease, [(batch, lease, position)], release=False) is None:
            return  # It is what waits for one of its messages; the sweep finds it.
        refused = await self._refused(connection, lease.shard, batch)
        kept = [record for record in batch.records if id(record) not in refused]
        aside = [
            reject(record, _reason(refused[id(record)]), batch.id) for record in batch.records if id(record) in refused
        ]
        rest = Batch(batch.id, kept, batch.rejected + aside)
        failure = await self._flush(connection, lease, [(rest, lease, position)], release=False)
        if failure is not None:
            # No record of it is to blame, nor any two: its id, or what nobody thought of.
            aside = [reject(record, _reason(failure), batch.id) for record in batch.records]
            moves = [Move(lease, position)]
            await self._moved(moves, await self._flusher.bury(connection, moves, batch.rejected + aside))
        logs.get().error(
            "records put aside: they cannot be counted",
            shard=lease.shard,
            entry=position,
            n=len(aside),
            of=len(batch.records),
            workspaces=sorted({one.workspace for one in aside if one.workspace is not None}),
            reason=aside[0].reason if aside else "",
        )

    async def _refused(self, connection: Connection, shard: int, batch: Batch) -> Refused:
        if await self._flusher.refusal(connection, shard, Batch(batch.id)) is not None:
            return {}
        refused: Refused = {}
        await self._find_alone(connection, shard, batch.id, batch.records, refused)
        rest = [record for record in batch.records if id(record) not in refused]
        await self._find_together(connection, shard, batch.id, [], rest, refused)
        return refused

    async def _find_alone(
        self, connection: Connection, shard: int, batch: bytes, records: list[Record], refused: Refused
    ) -> None:
        """Records that are refused by themselves, by halving."""
        failure = await self._flusher.refusal(connection, shard, Batch(batch, records))
        if failure is None:
            return
        if len(records) == 1:
            refused[id(records[0])] = failure
            return
        middle = len(records) // 2
        await self._find_alone(connection, shard, batch, records[:middle], refused)
        await self._find_alone(connection, shard, batch, records[middle:], refused)

    async def _find_together(
        self,
        connection: Connection,
        shard: int,
        batch: bytes,
        kept: list[Record],
        more: list[Record],
        refused: Refused,
    ) -> None:
        """Records that are refused beside those in `kept`, which takes up the others."""
        if not more:
            return
        failure = await self._flusher.refusal(connection, shard, Batch(batch, kept + more))
        if failure is None:
            kept += more
        elif len(more) == 1:
            refused[id(more[0])] = failure
        else:
            middle = len(more) // 2
            await self._find_together(connection, shard, batch, kept, more[:middle], refused)
            await self._find_together(connection, shard, batch, kept, more[middle:], refused)


def _moves(home: Lease, work: Work) -> list[Move]:
    """How far each shard gets with this work; the home shard's first, also where it stays."""
    to = {home.shard: Move(home, home.position)}
    for _, lease, position in work:
        to[lease.shard] = Move(lease, position)
    return list(to.values())


def _reason(failure: Exception) -> str:
    return f"refused: {in_words(failure)}"
