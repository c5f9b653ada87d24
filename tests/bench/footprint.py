"""Memory and CPU of each service, idle and under what is heaviest for it: by which deploy/k8s asks for them.

Run: .venv/bin/python -m tests.bench.footprint [--seconds 20] [--messages 100000] [--clients 64]

Starts the whole product, puts it under one load after the other, and prints for each process the largest memory that it
had in the meantime (VmHWM, reset before each load) and how much of a core it used. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from tests.bench.rollup import cpu_seconds
from tests.bench.webhooks import PARTS as OTHERS
from tests.product import Product, running
from tests.webhooks.signatures import SendGridSigner

PARTS = {
    "gateway": OTHERS["gateway"],
    "tracking": OTHERS["tracking"],
    "query": "run query",
    "aggregator": OTHERS["aggregator"],
}
"""How the command line of each service tells what it is."""
HITS_PER_SECOND = 1000
BATCH = 1000
"""Messages of a request: as many as there may be."""
MIB = 1 << 20
GIVEN = {"from_address": "news@shop.example", "to": "ada@mail.example", "campaign_id": "spring"}


class Used(NamedTuple):
    """memory: the largest, in MiB. cores: how many were busy, on average."""

    memory: float
    cores: float


class Bench:
    """A product and those who use it."""

    def __init__(self, product: Product, session: aiohttp.ClientSession, options: argparse.Namespace) -> None:
        self._product = product
        self._session = session
        self._options = options
        self._opens: list[str] = []
        self._keys = itertools.cycle([str(product.ready["api_key"])])
        self.answers: dict[int, int] = {}

    def pids(self) -> dict[str, int]:
        found = {name: self._product.pid_of(words) for name, words in PARTS.items()}
        if None in found.values():
            raise SystemExit(f"not every service was found: {found}")
        return {name: pid for name, pid in found.items() if pid is not None}

    async def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """The answer's body, whatever its status: a flood is refused in part."""
        headers = {"Authorization": f"Bearer {next(self._keys)}"} | (
            {"Content-Type": "application/json"} if body else {}
        )
        url = path if path.startswith("http") else self._product.ready["gateway"] + path
        try:
            async with self._session.request(method, url, data=body, headers=headers) as answer:
                content = await answer.read()
                status = answer.status
        except aiohttp.ClientError:  # a connection that was closed on who sends too much
            content, status = b"", 0
        self.answers[status] = self.answers.get(status, 0) + 1
        return content

    async def at_rest(self) -> None:
        await asyncio.sleep(self._options.seconds)

    async def hits(self) -> None:
        """Opens at a steady pace, on connections that live long, of messages in turn."""
        begun, clients = time.perf_counter(), 50

        async def client(number: int) -> None:
            for turn in range(number, int(self._options.seconds * HITS_PER_SECOND), clients):
                await asyncio.sleep(max(0.0, begun + turn / HITS_PER_SECOND - time.perf_counter()))
                await self.ask("GET", self._opens[turn % len(self._opens)])

        await all_of(client(number) for number in range(clients))

    async def registrations(self) -> None:
        """Many messages while the aggregator hangs, so that it then has all of them to count."""
        aggregator = self.pids()["aggregator"]
        os.kill(aggregator, signal.SIGSTOP)
        size = min(BATCH, self._options.messages // 4)
        requests = self._options.messages // size // 4
        body = json.dumps({"messages": [GIVEN | {"track_clicks": False}] * size}).encode()

        async def client(count: int) -> None:
            for _ in range(count):
                made = json.loads(await self.ask("POST", "/v1/messages", body))
                self._opens += [one["open_url"] for one in made["data"]][: 20_000 - len(self._opens)]
                events = [{"type": "sent", "message_id": one["id"]} for one in made["data"]]
                await self.ask("POST", "/v1/events", json.dumps({"events": events}).encode())

        try:
            await all_of(client(requests) for _ in range(4))
        finally:
            os.kill(aggregator, signal.SIGCONT)
        wanted = requests * 4 * size
        counted = 0
        while counted < wanted:
            answer = json.loads(await self.ask("GET", "/api/v1/analytics?period=24h"))
            counted = answer["data"]["totals"]["sent"]

    async def reads(self) -> None:
        """Twenty who ask for the dashboard's numbers as fast as they are answered."""
        until = time.perf_counter() + self._options.seconds
        paths = ("/api/v1/analytics?period=24h", "/api/v1/tracking/stats", "/api/v1/mail/stats?days=30")

        async def client(number: int) -> None:
            while time.perf_counter() < until:
                await self.ask("GET", paths[number % len(paths)])

        await all_of(client(number) for number in range(20))

    async def batches(self) -> None:
        """The largest requests of messages, two at once: a thousand, with HTML that fills the body."""
        link = '<p><a href="https://shop.example/offer?a=1">x</a></p>'
        html = "<html><body>" + link * ((self._options.mib * MIB // BATCH - 400) // (len(link) + 2)) + "</body></html>"
        body = json.dumps({"messages": [GIVEN | {"html": html}] * BATCH}).encode()
        assert len(body) <= self._options.mib * MIB, len(body)
        await all_of(self.ask("POST", "/v1/messages", body) for _ in range(2))

    async def flood(self) -> None:
        """Many bodies of the largest size at once, to each endpoint that takes them: two workspaces have all turns."""
        made = json.loads(await self.ask("POST", "/v1/messages", json.dumps(GIVEN).encode()))["data"]["id"]
        event = {"type": "opened", "message_id": made, "user_agent": "Mozilla/5.0 " + "y" * 700}
        most = self._options.mib * MIB  # of events half of it
        bodies = {
            "/v1/messages": b'{"x": "' + b"y" * (most - 16) + b'"}',
            "/v1/events": json.dumps({"events": [event] * (most // 2 // 850)}).encode(),
            await asyncio.to_thread(self._source): b"[" + b" " * (most - 16) + b"]",
        }
        keys = [str(self._product.ready["api_key"]), await asyncio.to_thread(self._tenant)]
        password = json.dumps({"email": "ada@mail.example", "password": "not the one"}).encode()
        for path, body in bodies.items():
            self._keys = itertools.cycle(key for key in keys for _ in "ab")  # each second request is a sign-in
            await all_of(
                self.ask("POST", *one) for one in ((path, body), ("/session", password)) * self._options.clients
            )
        self._keys = itertools.cycle(keys[:1])

    def _source(self) -> str:
        """The URL of a new source of webhooks."""
        words = ("source", "create", "--workspace", self._product.ready["workspace"], "--provider", "sendgrid")
        return self._command(*words, "--secret-file", "-", given=SendGridSigner().secret).split()[1]

    def _tenant(self) -> str:
        """The key of a new workspace."""
        self._command("workspace", "create", "other", "--name", "Another")
        return self._command("key", "create", "--workspace", "other", "--role", "admin", "--scope", "track")

    def _command(self, *words: str, given: str = "") -> str:
        command = [str(Path(sys.executable).with_name("postmeter")), *words, "--data", str(self._product.data)]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.splitlines()[0]

    async def exports(self) -> None:
        """The largest exports there are, one in each format at the same time."""
        path = f"/api/v1/workspaces/{self._product.ready['workspace']}/analytics/export"

        async def export(kind: str, form: str) -> None:
            ordered = json.loads(
                await self.ask("POST", path, json.dumps({"export_type": kind, "format": form}).encode())
            )
            if "data" in ordered:
                ordered = ordered["data"]
            name = ordered.get("export_id") or ordered["id"]
            while True:
                state = json.loads(await self.ask("GET", f"{path}s/{name}"))
                state = state.get("data", state)
                if state.get("status") != "processing":
                    assert state.get("status") == "completed", state
                    return
                await asyncio.sleep(0.2)

        await all_of(export("events", form) for form in ("csv", "xlsx"))

    async def measure(self, load: Callable[[], Awaitable[None]]) -> dict[str, Used]:
        """What each service used under a load."""
        pids = self.pids()
        for pid in pids.values():
            forget_largest(pid)
        before, begun = {name: cpu_seconds(pid) for name, pid in pids.items()}, time.perf_counter()
        await load()
        seconds = time.perf_counter() - begun
        if self.pids() != pids:
            raise SystemExit(f"a service died: {pids}, {self.pids()}")
        return {name: Used(largest(pid), (cpu_seconds(pid) - before[name]) / seconds) for name, pid in pids.items()}


def forget_largest(pid: int) -> None:
    """Let `largest` begin anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def largest(pid: int) -> float:
    """The largest memory since it was reset, in MiB."""
    (line,) = (one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


async def all_of(several: Iterable[Awaitable[Any]]) -> None:
    await asyncio.gather(*several)


@asynccontextmanager
async def bench(product: Product, options: argparse.Namespace) -> AsyncIterator[Bench]:
    timeout = aiohttp.ClientTimeout(total=600)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
        yield Bench(product, session, options)


async def run(product: Product, options: argparse.Namespace) -> None:
    print("| | " + " | ".join(f"{name}: MiB, cores" for name in PARTS) + " |")
    print("|---" * (len(PARTS) + 1) + "|")
    async with bench(product, options) as one:
        loads = {
            "idle": one.at_rest,
            f"{options.messages:,} messages, counted afterwards": one.registrations,
            f"{HITS_PER_SECOND:,} hits a second": one.hits,
            "20 clients that read": one.reads,
            f"batches of 1,000 messages, {options.mib} MiB": one.batches,
            f"{options.clients} bodies of the largest size at once, and as many sign-ins": one.flood,
            "exports of all events": one.exports,
            "idle again": one.at_rest,
        }
        for name, load in loads.items():
            one.answers.clear()
            used = await one.measure(load)
            cells = " | ".join(f"{part.memory:.0f}, {part.cores:.2f}" for part in used.values())
            print(f"| {name} | {cells} | {dict(sorted(one.answers.items()))}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=64, help="that send bodies of the largest size at the same time")
    parser.add_argument("--mib", type=int, default=16, help="of the largest bodies")
    options = parser.parse_args()
    os.environ["POSTMETER_RATE_LIMITS"] = "read=off,write=off"
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as product:
        asyncio.run(run(product, options))
    print(f"\nload average {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
