"""How many of Python's instructions the aggregator takes for a record, function by function.

Run: .venv/bin/python -m tests.bench.opcodes [--messages 30000] [--hits 50000] [--most 30]

Starts its own Postgres, gives the aggregator's flush registrations, hits on random ones of these, and a day of mail,
and has Python tell every bytecode that it runs. The first flush of each is left out: what it does is done once. Unlike
time the number is the same on every machine, however busy it is; see README.md beside this file for what it does not
tell.
"""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from postmeter.aggregator.stream.batches import unpack
from postmeter.aggregator.stream.reader import Entry
from postmeter.cli.local.servers.binaries import find_postgres
from postmeter.cli.local.servers.postgres_server import PostgresServer
from postmeter.shared.storage import uuid7
from postmeter.shared.storage.migrate import migrate
from postmeter.shared.stream import records
from postmeter.shared.stream.records import Record
from tests.aggregation import bench
from tests.bench.rollup import a_day, hits, registrations
from tests.integration.flushes import Side, sides
from tests.roles import make_roles

AT_ONCE = 10_000
"""Records in a flush."""


class Opcodes:
    """Bytecodes and calls by function, while it counts."""

    def __init__(self) -> None:
        self.run: Counter[CodeType] = Counter()
        self.calls: Counter[CodeType] = Counter()

    @contextmanager
    def counted(self) -> Iterator[None]:
        sys.settrace(self._called)
        try:
            yield
        finally:
            sys.settrace(None)

    def _called(self, frame: FrameType, _: str, __: Any) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        self.calls[frame.f_code] += 1
        return self._ran

    def _ran(self, frame: FrameType, what: str, _: Any) -> Any:
        if what == "opcode":
            self.run[frame.f_code] += 1
        return self._ran

    def report(self, title: str, number: int, most: int) -> None:
        print(f"\n{title}: {self.run.total() / number:.0f} bytecodes a record\n")
        print("| bytecodes | calls | function |\n|---|---|---|")
        for code, run in self.run.most_common(most):
            file = Path(code.co_filename)
            place = f"{file.parent.name}/{file.name}:{code.co_firstlineno}"
            print(f"| {run / number:.1f} | {self.calls[code] / number:.2f} | {place} {code.co_qualname} |")


async def measure(side: Side, title: str, found: Sequence[Record], most: int) -> None:
    """Flush these and report on all flushes but the first."""
    counted = Opcodes()
    at_once = min(AT_ONCE, len(found) // 2)
    await side.flush(list(found[:at_once]))
    for start in range(at_once, len(found), at_once):
        packed = records.join([records.encode(one) for one in found[start : start + at_once]])
        with counted.counted():
            await side.flush(unpack(Entry(b"", b"", packed)).records)
    counted.report(title, len(found) - at_once, most)


async def run(dsn: str, given: argparse.Namespace) -> None:
    messages = [uuid7.new().bytes for _ in range(given.messages)]
    # A flush needs no Redis; nothing is asked of this one.
    async with bench(dsn, "redis://127.0.0.1:1") as at, sides(at, 2) as (first, second):
        await measure(first, "registrations", registrations(messages), given.most)
        await measure(second, "random hits", hits(messages, given.hits, random.Random(1)), given.most)
        registered, day = a_day(given.messages)
        await measure(first, "a day's registrations", registered, given.most)
        await measure(first, "a day's hits", day, given.most)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=30_000)
    parser.add_argument("--hits", type=int, default=50_000)
    parser.add_argument("--most", type=int, default=30, help="functions that are named")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="pm-"))
    folder.chmod(0o711)
    server = PostgresServer(
        binaries=find_postgres(), data=folder / "postgres", sockets=folder, log=folder / "log", password="bench"
    )
    server.start()
    try:
        asyncio.run(make_roles(server.dsn()))
        asyncio.run(migrate(server.dsn()))
        asyncio.run(run(server.dsn(), given))
    finally:
        server.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
