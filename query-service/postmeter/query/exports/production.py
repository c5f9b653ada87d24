"""Makes the file of one export: rows from its source, through its format's writer, a batch at a time."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from postmeter.query.documents.workspaces import lookups
from postmeter.query.engine.engine import Engine
from postmeter.query.exports.failures import NO_DATA, ExportFailed, ExportTooLarge
from postmeter.query.exports.files.columns import Row
from postmeter.query.exports.files.formats import FORMATS, Writer
from postmeter.query.exports.limits import Allowance
from postmeter.query.exports.order import Order
from postmeter.query.exports.rows import sizes
from postmeter.query.exports.rows.history import EVENTS, MESSAGES
from postmeter.query.exports.rows.reports import REPORTS
from postmeter.query.exports.rows.source import RowReading
from postmeter.shared.errors import RequestError, ResultTooLarge
from postmeter.shared.storage.postgres import Pool

T = TypeVar("T")
SOURCES = {"messages": MESSAGES, "events": EVENTS, **REPORTS}


@dataclass
class Progress:
    """How far an attempt is: rows written, and the share of the whole, 0 to 1."""

    rows: int = 0
    done: float = 0.0


@dataclass(frozen=True)
class Production:
    """What makes files. pool: for reading, beside the one that answers queries."""

    pool: Pool
    engine: Engine

    async def make(self, workspace: int, order: Order, file: Path, progress: Progress, allowance: Allowance) -> None:
        """Write the file, alone in its folder. Raises ExportFailed for what no other attempt would cure.

        The rows are encoded and written in a thread of this export's own, so that queries are answered meanwhile.
        """
        source, scope = SOURCES[order.type], order.scope(workspace)
        with _Thread() as thread:
            try:
                for campaign_id in order.campaign_ids:
                    await lookups.campaign(self.pool, scope, campaign_id)
                sizes.check(order, await sizes.measure(self.engine, self.pool, scope, order))
                await thread.run(lambda: allowance.check(file.parent))
                writer = await thread.run(lambda: FORMATS[order.format].open(file, source.table))
                reading = RowReading(self.pool, self.engine, scope, order)
                async with contextlib.aclosing(source.read(reading)) as batches:
                    async for batch in batches:
                        progress.rows += len(batch.rows)
                        if progress.rows > sizes.limit(order):
                            raise ExportFailed(sizes.too_many(order, "more"))
                        await thread.run(functools.partial(_write, writer, batch.rows, allowance, file.parent))
                        progress.done = max(progress.done, batch.done)
                if progress.rows == 0:
                    raise ExportFailed(NO_DATA)
                await thread.run(writer.close)
                await thread.run(lambda: allowance.check(file.parent))
            except (RequestError, ResultTooLarge, ExportTooLarge) as error:
                raise ExportFailed(str(error)) from error


def _write(writer: Writer, rows: Sequence[Row], allowance: Allowance, room: Path) -> None:
    if rows:
        writer.write(rows)
        allowance.check(room)


class _Thread:
    """A thread of its own that does one piece of work after the other."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="export")

    def __enter__(self) -> _Thread:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns. Whoever cancels it removes its files next: not before the thread is out of it."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise
