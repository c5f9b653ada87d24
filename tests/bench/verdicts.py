"""Verdicts against the truth: a made-up day of mixed traffic, counted by the aggregator.

Run: .venv/bin/python -m tests.bench.verdicts [--letters 20000] [--seed 1]

Starts its own Postgres, gives the aggregator's flush the registrations, deliveries and hits of `traffic.day` in the
order of their times, and compares the verdicts in the history with who really did it. Prints Markdown: opens and
clicks by truth and verdict, then every kind of reader and robot by itself. See README.md beside this file.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from postmeter.cli.local.binaries import find_postgres
from postmeter.cli.local.postgres_server import PostgresServer
from postmeter.shared import uuid7
from postmeter.shared.events import EventType, Verdict
from postmeter.shared.migrate import migrate
from postmeter.shared.records import Hit, Record
from tests.aggregation import SECOND, bench, event, registration
from tests.bench.traffic import Act, Letter, day
from tests.integration.aggregator_model import micro
from tests.integration.flushes import sides

AT_ONCE = 2000
"""Records in a flush."""
DAY = 86_400_000_000
HISTORY = f"""
    SELECT message, {micro("at")}, verdict FROM event
    WHERE workspace = 1 AND type IN ({int(EventType.OPENED)}, {int(EventType.CLICKED)})
"""


def ids(letters: list[Letter]) -> list[bytes]:
    """A message id for each letter."""
    return [uuid7.new(letter.delivered // 1000).bytes for letter in letters]


def records(letters: list[Letter], acts: list[Act], messages: list[bytes]) -> list[Record]:
    """What the tracking-service writes of that day: registrations and deliveries, then hits as they come."""
    found: list[tuple[int, Record]] = []
    for letter in letters:
        message, at = messages[letter.number], letter.delivered
        given = {"message": message, "provider_message": f"sg-{letter.number}"}
        found.append((at - SECOND, registration(letter.number, at=at - SECOND, created=at - SECOND, **given)))
        found.append((at, event(EventType.DELIVERED, at=at, message=message)))
    for act in acts:
        url = "" if act.link is None else f"https://shop.example/offer/{act.link}"
        agent = act.agent.encode()
        found.append((act.at, Hit(act.at, 1, messages[act.message], url, act.prefetch, agent, act.ip)))
    return [record for _, record in sorted(found, key=lambda pair: pair[0])]


async def verdicts(dsn: str, letters: list[Letter], acts: list[Act]) -> list[tuple[Act, Verdict]]:
    """Every act with the verdict that the history has of it in the end."""
    messages = ids(letters)
    found = records(letters, acts, messages)
    # A flush needs no Redis; nothing is asked of this one.
    async with bench(dsn, "redis://127.0.0.1:1") as at, sides(at, 1) as (side,):
        for start in range(0, len(found), AT_ONCE):
            await side.flush(found[start : start + AT_ONCE])
        await side.sweep()
        rows = {(row[0].bytes, row[1]): Verdict(row[2]) for row in await at.db.fetch(HISTORY)}
    return [(act, rows[messages[act.message], act.at]) for act in acts]


def table(title: str, counted: Counter[tuple[str, Verdict]], rows: Iterable[str], columns: list[Verdict]) -> str:
    """Counts by row and verdict, each with its share of the row."""
    lines = [f"| {title} | " + " | ".join(verdict.name.lower() for verdict in columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for row in rows:
        total = sum(counted[row, verdict] for verdict in Verdict)
        if total:
            cells = [f"{counted[row, verdict]:,} ({counted[row, verdict] / total:.1%})" for verdict in columns]
            lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def report(judged: list[tuple[Act, Verdict]]) -> str:
    """The confusion matrices as Markdown: truth by verdict, and by every kind of reader and robot."""
    parts = []
    for name, clicks in (("opens", False), ("clicks", True)):
        of_kind = [(act, verdict) for act, verdict in judged if (act.link is not None) == clicks]
        columns = [verdict for verdict in Verdict if not clicks or verdict is not Verdict.PROXY]
        truth = Counter((act.truth, verdict) for act, verdict in of_kind)
        parts.append(table(f"{name}: truth", truth, [verdict.name.lower() for verdict in Verdict], columns))
        who = Counter((f"{act.truth}: {act.who}", verdict) for act, verdict in of_kind)
        parts.append(table(f"{name}: who", who, sorted({row for row, _ in who}), columns))
        right = sum(act.truth == verdict.name.lower() for act, verdict in of_kind)
        shown = sum(verdict is not Verdict.MACHINE for _, verdict in of_kind)
        genuine = sum(act.truth != "machine" for act, _ in of_kind)
        parts.append(f"{right / len(of_kind):.1%} right; {shown:,} {name} counted where {genuine:,} were genuine\n")
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--letters", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="pm-"))
    folder.chmod(0o711)
    postgres = PostgresServer(
        binaries=find_postgres(), data=folder / "postgres", sockets=folder, log=folder / "pg.log", password="bench"
    )
    try:
        postgres.start()
        asyncio.run(migrate(postgres.dsn()))
        # Two days ago, so that the last acts of the day's last letters are over.
        start = (time.time_ns() // 1000 // DAY - 2) * DAY
        letters, acts = day(start, options.letters, options.seed)
        print(f"{len(letters):,} letters, {len(acts):,} opens and clicks, seed {options.seed}\n")
        print(report(asyncio.run(verdicts(postgres.dsn(), letters, acts))))
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
