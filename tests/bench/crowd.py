"""Time of reads while hits come in: 32 clients who ask the same question, or five different ones.

Run: .venv/bin/python -m tests.bench.crowd --data DIR [--events 20000000] [--hits 2000] [--seconds 5] [--clients 32]
    [--only TEXT]

Loads the data set into DIR unless it is there (tests/bench/dataset.py), and starts Postgres, Redis, query-service (with
its usual room for answers) and gateway as tests.bench.queries does, and an aggregator. A thread appends hits on recent
messages to the streams, so many a second, as tracking-service does; the aggregator counts them into the same tables.
Meanwhile 32 clients ask, each with its next request as soon as it has an answer: all of them one request of the
dashboard, then five requests in turns. Beside the times: how many requests were answered a second and how many answers
were computed for them, the CPU of a request in gateway, query-service and Postgres (there also what the hits take), and
how far counting is behind when it ends. The data set keeps the hits. Prints a table in Markdown.
See README.md beside this file for what the figures mean.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp
import asyncpg
import redis

from postmeter.shared.stream.records import Hit
from tests.bench import dataset, rollup
from tests.bench.cases.case import Case
from tests.bench.cases.table import cases
from tests.bench.dataset import Dataset
from tests.bench.queries import CLIENTS, Served, Times, services
from tests.bench.raw import DAY

TARGET_MS = 250.0
TARGET_ALONE_MS = 50.0
KEPT = 64 << 20
COMPUTED = r'^postmeter_query_answers_total\{result="(?:miss|unkept)"\} (\S+)$'
QUESTIONS = 5
BATCH_SECONDS = 0.05
MESSAGES = 50_000
RECENT = (
    "SELECT id, campaign FROM mail WHERE workspace = $1 AND campaign <> '' AND state = 5"
    " AND created_at > $2 ORDER BY created_at DESC LIMIT $3"
)


class Result(NamedTuple):
    """cpu: milliseconds of a request in gateway, query-service and Postgres. computed: answers that were not kept.
    target: milliseconds that p99 may be.
    """

    target: float
    times: Times
    rate: float
    computed: int
    cpu: list[float]
    failed: int

    def row(self, name: str) -> str:
        missed = " (!)" if self.times.p99 > self.target else ""
        cpu = " + ".join(f"{one:.1f}" for one in self.cpu)
        failed = f" **{self.failed} failed**" if self.failed else ""
        times = f"{self.times.p50:.0f} | {self.times.p99:.0f}{missed}"
        return f"| {name}{failed} | {times} | {self.rate:.0f} | {self.computed} | {cpu} |"


class Writer:
    """Appends `rate` hits a second to the streams until it is stopped, on messages chosen at random."""

    def __init__(self, url: str, workspace: int, messages: list[tuple[bytes, str]], rate: int) -> None:
        self._client = redis.Redis.from_url(url)
        self._workspace = workspace
        self._messages = messages
        self._rate = rate
        self._noise = random.Random(1)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.sent = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()

    def _run(self) -> None:
        began = time.perf_counter()
        while not self._stop.wait(BATCH_SECONDS):
            due = int((time.perf_counter() - began) * self._rate) - self.sent
            rollup.append(self._client, [self._hit() for _ in range(due)], 200)
            self.sent += due

    def _hit(self) -> Hit:
        message, campaign = self._noise.choice(self._messages)
        n = self._noise.randrange(40)
        return Hit(
            at=time.time_ns() // 1000,
            workspace=self._workspace,
            message=message,
            url=f"https://shop.example/{campaign}/{n}" if n < 10 else "",
            prefetch=False,
            user_agent=self._noise.choice(rollup.AGENTS),
            ip=f"198.51.100.{n}",
        )


class Crowd:
    """Asks by so many clients at once, for so many seconds. postgres: its process id."""

    def __init__(self, session: aiohttp.ClientSession, at: Served, postgres: int, seconds: float, clients: int) -> None:
        self._session = session
        self._url = at.url
        self._pids = [*at.pids, postgres]
        self._metrics = at.metrics
        self._seconds = seconds
        self._clients = clients

    async def measure(self, asked: list[Case]) -> Result:
        """These requests, the clients beginning with different ones."""
        for case in asked:
            await self._ask(case)
        before, computed = self._cpu(), await self._computed()
        began = time.perf_counter()
        until = began + self._seconds
        clients = await asyncio.gather(*(self._client(asked, number, until) for number in range(self._clients)))
        took = time.perf_counter() - began
        answers = [answer for client in clients for answer in client]
        gateway, query, postgres = (
            1000 * (after - then) / len(answers) for after, then in zip(self._cpu(), before, strict=True)
        )
        return Result(
            target=TARGET_ALONE_MS if self._clients == 1 else TARGET_MS,
            times=Times.of([seconds for seconds, _ in answers]),
            rate=len(answers) / took,
            computed=await self._computed() - computed,
            cpu=[gateway, query, postgres],
            failed=sum(status != 200 for _, status in answers),
        )

    async def _client(self, asked: list[Case], number: int, until: float) -> list[tuple[float, int]]:
        answers: list[tuple[float, int]] = []
        for case in itertools.cycle(asked[number % len(asked) :] + asked[: number % len(asked)]):
            began = time.perf_counter()
            status = await self._ask(case)
            answers.append((time.perf_counter() - began, status))
            if time.perf_counter() >= until and len(answers) > 1:
                return answers
        return answers

    async def _ask(self, case: Case) -> int:
        async with self._session.request(case.endpoint[0], self._url + case.path, json=case.body) as answer:
            await answer.read()
            return answer.status

    def _cpu(self) -> list[float]:
        return [rollup.cpu_seconds(pid) for pid in self._pids]

    async def _computed(self) -> int:
        """Answers that query-service has computed until now."""
        async with self._session.get(self._metrics) as answer:
            text = await answer.text()
        return round(sum(map(float, re.findall(COMPUTED, text, re.M))))


async def run(at: Served, postgres: int, data: Dataset, options: argparse.Namespace) -> None:
    """Every request of the dashboard by itself, then five at a time; each row is printed as soon as it is there."""
    wanted = [
        case
        for case in cases(data)
        if case.dashboard and (not options.only or any(text in case.name for text in options.only))
    ]
    groups = [[case] for case in wanted]
    groups += [wanted[n : n + QUESTIONS] for n in range(0, len(wanted), QUESTIONS)]
    headers = {"Authorization": f"Bearer {data.api_key}"}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:
        crowd = Crowd(session, at, postgres, options.seconds, options.clients)
        for group in groups:
            print((await crowd.measure(group)).row("; ".join(case.name for case in group)), flush=True)


async def recent(dsn: str, data: Dataset) -> list[tuple[bytes, str]]:
    """Delivered messages of the last ten days, with their campaigns."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(RECENT, data.workspace, data.end - 10 * DAY, MESSAGES)
    finally:
        await connection.close()
    return [(row["id"].bytes, row["campaign"]) for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the data set's folder; made if it is not there")
    parser.add_argument("--events", type=int, default=20_000_000, help="of a data set that is not there yet")
    parser.add_argument("--hits", type=int, default=2_000, help="a second")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each row")
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--only", action="append", help="requests with this text in their name; repeatable")
    options = parser.parse_args()
    folder = options.data.absolute()
    with ExitStack() as stack:
        data, server, broker = stack.enter_context(dataset.stores(folder, options.events))
        at = stack.enter_context(services(data, folder, server.dsn(), broker.url, kept=KEPT))
        stack.enter_context(rollup.counting(rollup.Place(server.dsn(), broker.url, server.pid, 1)))
        messages = asyncio.run(recent(server.dsn(), data))
        writer = Writer(broker.url, data.workspace, messages, options.hits)
        print(f"{data.events:,} events over {data.days} days, {options.hits:,} hits a second; milliseconds\n")
        print(
            f"| {options.clients} clients ask | p50 | p99 | requests/s | computed | CPU |\n|---|---|---|---|---|---|",
            flush=True,
        )
        began = time.perf_counter()
        with writer.running():
            asyncio.run(run(at, server.pid, data, options))
        took = time.perf_counter() - began
        asyncio.run(rollup.counted(server.dsn(), redis.Redis.from_url(broker.url)))
        behind = time.perf_counter() - began - took
        print(f"\n{writer.sent:,} hits came in {took:.0f} s, the last of them was counted {behind:.1f} s later")


if __name__ == "__main__":
    main()
