"""Events of a provider's webhook per second, through the gateway into committed rollups.

Run: .venv/bin/python -m tests.bench.webhooks [--events 40000] [--single 4000] [--rounds 3]

Starts the whole product. In each round fresh messages are registered, and then the events of their lives (sent,
delivered, opened, clicked) come in three ways, each way with messages of its own: SendGrid's webhook with one event in
a delivery, the same with 500, and `POST /v1/events` with 500 for comparison. Deliveries are signed before the clock
starts; it stops when Postgres has every event in its rollups. See README.md beside this file for what that means.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import aiohttp
import asyncpg

from postmeter.cli import access
from tests.bench.rollup import cpu_seconds
from tests.product import Product, running
from tests.webhooks.signatures import SendGridSigner

KINDS = {"processed": "sent", "delivered": "delivered", "open": "opened", "click": "clicked"}
"""SendGrid's word for each event, and ours."""
COUNTED = """
    SELECT coalesce(sum(sent), 0)::bigint + coalesce(sum(delivered), 0)::bigint + coalesce(sum(human_opens), 0)::bigint
        + coalesce(sum(human_clicks), 0)::bigint FROM activity_15m WHERE series <> 0
"""
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
PARTS = {
    "gateway": "run gateway",
    "tracking": "run tracking",
    "aggregator": "run aggregator",
    "Postgres": "/postgres",
    "Redis": "-server",
}
"""How the command line of each process tells what it is."""
PER_REQUEST = 500
CLIENTS = 16
GIVE_UP_SECONDS = 120.0
Calls = list[tuple[bytes, dict[str, str]]]
"""Bodies, each with its headers."""


class Told(NamedTuple):
    """An event: of which message, which kind, by which id."""

    message: str
    kind: str
    id: str


class Result(NamedTuple):
    """Of one way in one round: events a second, and microseconds of CPU an event in each part of the product."""

    rate: float
    cpu: list[float]


class Way(NamedTuple):
    """How events come. source: the URL that they are posted to."""

    name: str
    url: str
    per_request: int
    events: int


class Sender:
    """A mail platform with an account at SendGrid."""

    def __init__(self, product: Product, session: aiohttp.ClientSession) -> None:
        self._product = product
        self._session = session
        self._signer = SendGridSigner()
        self._made = 0

    def source(self) -> str:
        """The URL of a new source that knows this account's key."""
        command = [str(Path(sys.executable).with_name("postmeter")), "source", "create", "--workspace"]
        command += [self._product.ready["workspace"], "--provider", "sendgrid", "--secret-file", "-"]
        command += ["--data", str(self._product.data)]
        secret = self._signer.secret
        made = subprocess.run(command, input=secret, capture_output=True, text=True, check=True, timeout=60).stdout
        return made.splitlines()[0].split()[1]

    async def lives(self, events: int) -> list[Told]:
        """So many events, of messages that are registered now; the mail carries only the provider's tracking."""
        given = {"from_address": "news@shop.example", "to": "ada@mail.example", "campaign_id": "spring"}
        one = given | {"provider": "SENDGRID", "track_opens": False, "track_clicks": False}
        found: list[Told] = []
        while len(found) < events:
            body = json.dumps({"messages": [one] * PER_REQUEST}).encode()
            answer = json.loads(await self.post(f"{self._product.ready['gateway']}/v1/messages", body, {}))
            for message in answer["data"]:
                for kind in KINDS:
                    self._made += 1
                    found.append(Told(message["id"], kind, f"event-{self._made}"))
        return found[:events]

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> bytes:
        async with self._session.post(url, data=body, headers=self._product.headers | headers) as answer:
            content = await answer.read()
            if answer.status >= 300:
                raise SystemExit(f"{url} answered {answer.status}: {content[:500]!r}")
            return content

    def deliveries(self, events: list[Told], per_request: int) -> Calls:
        """As SendGrid sends them."""
        now = time.time()
        calls: Calls = []
        for group in groups(events, per_request):
            told = [
                {
                    "event": one.kind,
                    "email": "ada@mail.example",
                    "timestamp": int(now),
                    "sg_event_id": one.id,
                    "sg_message_id": f"{one.message}.recvd-5f54b5d587-pczjm-1-67BADEEA-6.0",
                    "smtp-id": f"<{one.message}@geopod-ismtpd-2>",
                    "category": ["welcome", "spring"],
                    "postmeter_id": one.message,
                }
                | ({"useragent": AGENT, "ip": "203.0.113.7"} if one.kind in ("open", "click") else {})
                | ({"url": "https://shop.example/offer"} if one.kind == "click" else {})
                for one in group
            ]
            body = json.dumps(told).encode()
            calls.append((body, self._signer.headers(body, now)))
        return calls

    def reports(self, events: list[Told], per_request: int) -> Calls:
        """The same, as a sender reports them itself."""
        now = datetime.now(UTC).isoformat()
        calls: Calls = []
        for group in groups(events, per_request):
            told = [
                {"type": KINDS[one.kind], "message_id": one.message, "timestamp": now, "id": one.id}
                | ({"user_agent": AGENT, "ip": "203.0.113.7"} if one.kind in ("open", "click") else {})
                | ({"url": "https://shop.example/offer"} if one.kind == "click" else {})
                for one in group
            ]
            calls.append((json.dumps({"events": told}).encode(), {}))
        return calls


def groups(events: list[Told], size: int) -> Iterator[list[Told]]:
    for start in range(0, len(events), size):
        yield events[start : start + size]


class Clock:
    """Takes the time of posts until they are in the rollups, and what every part of the product used for them."""

    def __init__(self, product: Product, sender: Sender, db: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._sender = sender
        self._db = db
        self._pids = {name: product.pid_of(words) for name, words in PARTS.items()}
        if None in self._pids.values():
            raise SystemExit(f"not every part of the product was found: {self._pids}")

    async def measure(self, way: Way, calls: Calls) -> Result:
        before, used = await self._counted(), self._cpu()
        waiting = iter(calls)

        async def client() -> None:
            for body, headers in waiting:
                await self._sender.post(way.url, body, headers)

        started = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(CLIENTS)))
        while (done := await self._counted() - before) < way.events:
            if time.perf_counter() - started > GIVE_UP_SECONDS:
                raise SystemExit(f"{way.name}: only {done} of {way.events} events were counted")
            await asyncio.sleep(0.005)
        seconds = time.perf_counter() - started
        if done > way.events:
            raise SystemExit(f"{way.name}: {done} counted, but {way.events} sent")
        cpu = [1e6 * (now - then) / way.events for now, then in zip(self._cpu(), used, strict=True)]
        return Result(way.events / seconds, cpu)

    async def _counted(self) -> int:
        found: int = await self._db.fetchval(COUNTED)
        return found

    def _cpu(self) -> list[float]:
        return [cpu_seconds(pid) for pid in self._pids.values() if pid is not None]


async def measure(product: Product, options: argparse.Namespace) -> dict[str, list[Result]]:
    with access.database_dsn(product.data) as dsn:
        db = await asyncpg.connect(dsn.reveal())
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CLIENTS)) as session:
        sender = Sender(product, session)
        webhook, native = await asyncio.to_thread(sender.source), f"{product.ready['gateway']}/v1/events"
        ways = (
            Way("webhook, 1 event a delivery", webhook, 1, options.single),
            Way(f"webhook, {PER_REQUEST} events a delivery", webhook, PER_REQUEST, options.events),
            Way(f"`POST /v1/events`, {PER_REQUEST} events a request", native, PER_REQUEST, options.events),
        )
        clock = Clock(product, sender, db)
        results: dict[str, list[Result]] = {way.name: [] for way in ways}
        for number in range(options.rounds):
            # Each way comes first in turn: what one leaves to Postgres' vacuum, the next has beside it.
            for way in (*ways[number % len(ways) :], *ways[: number % len(ways)]):
                events = await sender.lives(way.events)
                make = sender.deliveries if way.url == webhook else sender.reports
                results[way.name].append(await clock.measure(way, make(events, way.per_request)))
                print(f"{way.name}: {results[way.name][-1].rate:,.0f}/s", file=sys.stderr)
        counted, sent = await db.fetchval(COUNTED), options.rounds * sum(way.events for way in ways)
        await db.close()
        if counted != sent:
            raise SystemExit(f"{counted} events are counted in the end, but {sent} were sent")
        return results


def report(results: dict[str, list[Result]]) -> str:
    """The medians as Markdown."""
    lines = [
        "| | events/s, median (rounds) | CPU us an event: " + " | ".join(PARTS) + " |",
        "|---" * (len(PARTS) + 2) + "|",
    ]
    for name, rounds in results.items():
        rates = [one.rate for one in rounds]
        cpu = [statistics.median(column) for column in zip(*(one.cpu for one in rounds), strict=True)]
        shown = ", ".join(f"{rate:,.0f}" for rate in rates)
        cells = " | ".join(f"{one:.1f}" for one in cpu)
        lines.append(f"| {name} | {statistics.median(rates):,.0f} ({shown}) | {cells} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=40_000, help="of each way with batches")
    parser.add_argument("--single", type=int, default=4_000, help="of the way with one event a delivery")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.environ["POSTMETER_RATE_LIMITS"] = "write=off"
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as product:
        print(report(asyncio.run(measure(product, options))))
    print(f"\nload average {load:.1f} before, {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
