"""Verdicts against the truth: a made-up day of mixed traffic, counted by the aggregator.

Run: .venv/bin/python -m tests.bench.verdicts [--letters 20000] [--seed 1] [--shuffle 1]

Starts its own Postgres, gives the aggregator's flush the registrations, deliveries and hits of `traffic.day` in the
order in which they come, and compares the verdicts in the history with who really did it. Prints Markdown: opens and
clicks by truth and verdict, then every kind of reader and robot by itself. With --shuffle it gives the same records
once more, in a random order by that seed, to a second database, says what came out otherwise, and ends with an error
if anything did. See README.md beside this file.
"""

import argparse
import asyncio
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from postmeter.cli.local.servers.binaries import find_postgres
from postmeter.cli.local.servers.postgres_server import PostgresServer
from postmeter.shared.storage import uuid7
from postmeter.shared.storage.migrate import migrate
from postmeter.shared.stream.events import EventType, Mark, Verdict
from postmeter.shared.stream.records import Hit, Mail, Record, Registration
from tests.aggregation import SECOND, bench, event, registration
from tests.bench.letters import HIDDEN, Act, Letter
from tests.bench.traffic import day
from tests.integration.aggregator_model import micro
from tests.integration.flushes import sides
from tests.roles import make_roles

AT_ONCE = 2000
"""Records in a flush."""
DAY = 86_400_000_000
HISTORY = f"""
    SELECT message, {micro("at")}, verdict FROM history
    WHERE workspace = 1 AND type IN ({int(EventType.OPENED)}, {int(EventType.CLICKED)})
"""
MAIL = Mail("", "", "", "", "", "", "", "", [])
"""What a webhook tells of mail that is registered: nothing that is needed."""


class Outcome(NamedTuple):
    """What the aggregator made of the day: every act with the verdict that the history has of it in the end (HEADs
    have none that counts), and the sums of all counters."""

    judged: list[tuple[Act, Verdict]]
    totals: dict[str, int]


def ids(letters: list[Letter]) -> list[bytes]:
    """A message id for each letter."""
    return [uuid7.new(letter.delivered // 1000).bytes for letter in letters]


def registered(letter: Letter, message: bytes) -> Record:
    """What the tracking-service writes before the mail is sent."""
    at = letter.delivered - 5 * SECOND
    return registration(
        letter.number,
        at=at,
        created=at,
        message=message,
        provider_message=f"sg-{letter.number}",
        tracks_opens=not letter.told,
        tracks_clicks=not letter.told,
        links=0 if letter.told else letter.links,
    )


def done(letter: Letter, act: Act, message: bytes) -> tuple[int, Record]:
    """When an act becomes known, and as what: a hit of ours, or an event that the provider tells."""
    place = "hidden" if act.link == HIDDEN else act.link
    url = "" if act.link is None else f"https://shop.example/offer/{place}"
    agent = act.agent.encode()
    if not letter.told:
        return act.at, Hit(act.at, 1, message, url, act.prefetch, agent, act.ip, int(act.mark))
    kind, known = (EventType.CLICKED if url else EventType.OPENED), act.at + letter.lag
    told = event(
        kind,
        at=act.at,
        received=known,
        message=message,
        url=url,
        user_agent=agent,
        ip=act.ip,
        provider="SENDGRID",
        mail=MAIL,
    )
    return known, told


def records(letters: list[Letter], acts: list[Act], messages: list[bytes]) -> list[tuple[int, Record]]:
    """(when it comes, what comes) of that day: registrations, deliveries as webhooks tell of them, opens and clicks."""
    found: list[tuple[int, Record]] = []
    for letter in letters:
        message, at = messages[letter.number], letter.delivered
        found.append((at - 5 * SECOND, registered(letter, message)))
        known = at + letter.lag
        told = event(EventType.DELIVERED, at=at, received=known, message=message, provider="SENDGRID", mail=MAIL)
        found.append((known, told))
    for act in acts:
        found.append(done(letters[act.message], act, messages[act.message]))
    return sorted(found, key=lambda pair: pair[0])


def shuffled(found: list[tuple[int, Record]], seed: int) -> list[tuple[int, Record]]:
    """The same in a random order. A registration stays ahead of all else, as it is: no link is known before."""
    ahead = [pair for pair in found if isinstance(pair[1], Registration)]
    after = [pair for pair in found if not isinstance(pair[1], Registration)]
    random.Random(seed).shuffle(after)
    return ahead + after


async def outcome(dsn: str, found: list[tuple[int, Record]], acts: list[Act], messages: list[bytes]) -> Outcome:
    """Let the aggregator count these, and read what it says of the acts."""
    # A flush needs no Redis; nothing is asked of this one.
    async with bench(dsn, "redis://127.0.0.1:1") as at, sides(at, 1) as (side,):
        for start in range(0, len(found), AT_ONCE):
            await side.flush([record for _, record in found[start : start + AT_ONCE]])
        await side.sweep()
        rows = {(row[0].bytes, row[1]): Verdict(row[2]) for row in await at.db.fetch(HISTORY)}
        totals = await at.total()
    judged = [(act, rows[messages[act.message], act.at]) for act in acts if act.mark is not Mark.HEAD]
    return Outcome(judged, totals)


def table(title: str, counted: Counter[tuple[str, Verdict]], rows: Iterable[str], columns: Sequence[Verdict]) -> str:
    """Counts by row and verdict, each with its share of the row."""
    lines = [f"| {title} | " + " | ".join(verdict.name.lower() for verdict in columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for row in rows:
        total = sum(counted[row, verdict] for verdict in Verdict)
        if total:
            cells = [f"{counted[row, verdict]:,} ({counted[row, verdict] / total:.1%})" for verdict in columns]
            lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def part(name: str, judged: list[tuple[Act, Verdict]], columns: Sequence[Verdict]) -> Iterator[str]:
    """Truth by verdict, the same by every kind of reader and robot, and how many were right."""
    truth = Counter((act.truth, verdict) for act, verdict in judged)
    yield table(f"{name}: truth", truth, [verdict.name.lower() for verdict in Verdict], columns)
    who = Counter((f"{act.truth}: {act.who}", verdict) for act, verdict in judged)
    yield table(f"{name}: who", who, sorted({row for row, _ in who}), columns)
    right = sum(act.truth == verdict.name.lower() for act, verdict in judged)
    shown = sum(verdict is not Verdict.MACHINE for _, verdict in judged)
    genuine = sum(act.truth != "machine" for act, _ in judged)
    yield f"{right / max(1, len(judged)):.1%} right; {shown:,} {name} counted where {genuine:,} were genuine\n"


def report(judged: list[tuple[Act, Verdict]]) -> str:
    """The confusion matrices of opens, clicks, and visits of hidden links as Markdown."""
    opens = [pair for pair in judged if pair[0].link is None]
    clicks = [pair for pair in judged if pair[0].link is not None and pair[0].link != HIDDEN]
    hidden = [pair for pair in judged if pair[0].link == HIDDEN]
    only = [verdict for verdict in Verdict if verdict is not Verdict.PROXY]
    parts = [*part("opens", opens, list(Verdict)), *part("clicks", clicks, only), *part("hidden links", hidden, only)]
    return "\n".join(parts)


def differences(first: Outcome, second: Outcome) -> list[str]:
    """What two outcomes of the same day say otherwise, as Markdown rows; the acts by who did them."""
    otherwise = Counter(
        f"{act.truth}: {act.who}: {verdict.name.lower()}, shuffled {again.name.lower()}"
        for (act, verdict), (_, again) in zip(first.judged, second.judged, strict=True)
        if verdict is not again
    )
    rows = [f"| {what} | {number:,} |" for what, number in otherwise.most_common()]
    for name in sorted({*first.totals, *second.totals}):
        before, after = first.totals.get(name, 0), second.totals.get(name, 0)
        if before != after:
            rows.append(f"| {name}: {before:,}, shuffled {after:,} | {abs(before - after):,} |")
    return rows


def disagreements(found: Outcome) -> list[str]:
    """Counters that are not what the history's verdicts add up to, as Markdown rows."""
    counted = Counter(
        f"{verdict.name.lower()}_{'opens' if act.link is None else 'clicks'}" for act, verdict in found.judged
    )
    return [
        f"| {name}: {number:,} by the history, {found.totals.get(name, 0):,} counted | {number:,} |"
        for name, number in counted.items()
        if found.totals.get(name, 0) != number
    ]


def measure(options: argparse.Namespace) -> Iterator[str]:
    """The report's parts, as they are known. Raises SystemExit if the counters are not those of the history, or if the
    order changed anything."""
    # Two days ago, so that the last acts of the day's last letters are over.
    start = (time.time_ns() // 1000 // DAY - 2) * DAY
    letters, acts = day(start, options.letters, options.seed)
    messages = ids(letters)
    found = records(letters, acts, messages)
    yield f"{len(letters):,} letters, {len(acts):,} opens, clicks and HEADs, seed {options.seed}\n"
    first = outcome_in_own_database(found, acts, messages)
    yield report(first.judged)
    rows = disagreements(first)
    if options.shuffle is not None:
        second = outcome_in_own_database(shuffled(found, options.shuffle), acts, messages)
        otherwise = differences(first, second)
        yield f"In a random order (seed {options.shuffle}): {len(otherwise) or 'no'} differences\n"
        rows += otherwise
    if rows:
        yield "\n".join(["| what is wrong | how many |", "|---|---|", *rows])
        raise SystemExit(1)


def outcome_in_own_database(found: list[tuple[int, Record]], acts: list[Act], messages: list[bytes]) -> Outcome:
    """The outcome in a Postgres of its own, which is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="pm-"))
    folder.chmod(0o711)
    postgres = PostgresServer(
        binaries=find_postgres(), data=folder / "postgres", sockets=folder, log=folder / "pg.log", password="bench"
    )
    try:
        postgres.start()
        asyncio.run(make_roles(postgres.dsn()))
        asyncio.run(migrate(postgres.dsn()))
        return asyncio.run(outcome(postgres.dsn(), found, acts, messages))
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--letters", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shuffle", type=int, metavar="SEED", help="once more, in a random order")
    for line in measure(parser.parse_args()):
        print(line, flush=True)


if __name__ == "__main__":
    main()
