"""Time of every read endpoint over a large data set, beside the same answer from raw events.

Run: .venv/bin/python -m tests.bench.queries --data DIR [--events 20000000] [--only TEXT]

Loads the data set into DIR unless it is there (tests/bench/dataset.py), starts Postgres with the settings of local
mode, Redis, and query-service and gateway as processes of their own, without rate limits. Then for each request: the
answer must equal the one computed from messages and events; p50 and p99 at 1 client and at 32; the CPU of a
request in gateway, query-service and Postgres; and the time of the statements on messages and events. Prints a table
in Markdown, and ends with 1 if an answer is wrong or missing.
See README.md beside this file for what the figures mean.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import asyncpg

from postmeter.shared.apis.endpoint import Limit
from tests.bench import dataset
from tests.bench.cases.case import Case
from tests.bench.cases.table import LEFT_OUT, cases
from tests.bench.dataset import Dataset
from tests.bench.raw import Raw
from tests.bench.rollup import cpu_seconds
from tests.product import free_port

CLIENTS = 32
TARGET_MS = 50.0
WARM_UP = 5
PATIENCE_SECONDS = 20.0
LEAST = 2
START_SECONDS = 60.0


class Times(NamedTuple):
    """Milliseconds."""

    p50: float
    p99: float

    @classmethod
    def of(cls, seconds: list[float]) -> Times:
        cuts = statistics.quantiles(seconds, n=100)
        return cls(cuts[49] * 1000, cuts[98] * 1000)


class Result(NamedTuple):
    """cpu: milliseconds of a request in gateway, query-service and Postgres. failed: how many requests were not
    answered with 200. raw: milliseconds on messages and events, None where there is nothing to compare.
    """

    case: Case
    alone: Times
    crowd: Times
    cpu: list[float]
    failed: int
    bytes: int
    raw: float | None
    equal: bool

    def row(self) -> str:
        raw = "" if self.raw is None else f"{self.raw:,.0f}"
        verdict = self.case.why if self.raw is None else "yes" if self.equal else "**no**"
        if self.failed:
            verdict += f", **{self.failed} failed**"
        missed = " (!)" if self.case.dashboard and self.alone.p99 > TARGET_MS else ""
        cpu = " + ".join(f"{one:.1f}" for one in self.cpu)
        alone = f"{self.alone.p50:.1f} | {self.alone.p99:.1f}{missed}"
        crowd = f"{self.crowd.p50:.0f} | {self.crowd.p99:.0f}"
        return f"| {self.case.name} | {alone} | {crowd} | {cpu} | {raw} | {verdict} | {self.bytes:,} |"


class Served(NamedTuple):
    """The base URL of a gateway, the process ids of gateway and query-service, and the URL of the latter's metrics."""

    url: str
    pids: list[int]
    metrics: str


@contextmanager
def services(data: Dataset, folder: Path, dsn: str, redis_url: str, kept: int) -> Iterator[Served]:
    """A gateway before a query-service that keeps answers of so many bytes."""
    port, query_port, ops, query_ops = (free_port() for _ in range(4))
    environ = os.environ | {
        "POSTMETER_POSTGRES_DSN": dsn,
        "POSTMETER_REDIS_URL": redis_url,
        "POSTMETER_INTERNAL_SECRET": secrets.token_hex(32),
        "POSTMETER_LOG_LEVEL": "warning",
    }
    query = environ | {
        "POSTMETER_PORT": str(query_port),
        "POSTMETER_OPS_PORT": str(query_ops),
        "POSTMETER_EXPORT_DIR": str(folder / "exports"),
        "POSTMETER_ANSWER_CACHE": str(kept),
        "POSTMETER_PUBLIC_GATEWAY_URL": f"http://127.0.0.1:{port}",
    }
    gateway = environ | {
        "POSTMETER_PORT": str(port),
        "POSTMETER_OPS_PORT": str(ops),
        "POSTMETER_KEY_PEPPER": data.pepper,
        "POSTMETER_TOKEN_KEYS": "1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
        "POSTMETER_QUERY_URL": f"http://127.0.0.1:{query_port}",
        "POSTMETER_TRACKING_URL": "http://127.0.0.1:1",
        "POSTMETER_RATE_LIMITS": ",".join(f"{limit}=off" for limit in Limit),
    }
    running: list[subprocess.Popen[bytes]] = []
    try:
        for service, settings in (("query", query), ("gateway", gateway)):
            command = [sys.executable, "-m", "postmeter.cli.main", "run", service]
            running.append(subprocess.Popen(command, env=settings))
        asyncio.run(_ready(f"http://127.0.0.1:{port}/api/v1/mail/stats", data.api_key, running))
        pids = [process.pid for process in reversed(running)]
        yield Served(f"http://127.0.0.1:{port}", pids, f"http://127.0.0.1:{query_ops}/metrics")
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait(30)


async def _ready(url: str, key: str, running: list[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + START_SECONDS
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:
        while True:
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
                    last = await answer.text()
            except aiohttp.ClientError as error:
                last = repr(error)
            if time.monotonic() > deadline or any(process.poll() is not None for process in running):
                raise SystemExit(f"the services do not answer: {last}")
            await asyncio.sleep(0.05)


class Bench:
    """Measures one request after the other through the gateway at `url`. pids: of the processes that answer."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, pids: list[int], raw: Raw, options: argparse.Namespace
    ) -> None:
        self._session = session
        self._url = url
        self._pids = pids
        self._raw = raw
        self._options = options
        self._failed = 0

    async def measure(self, case: Case) -> Result:
        """Compare, then time alone, then in a crowd."""
        answer, size = await self._ask(case)
        self._failed = 0
        equal, raw = True, None
        if case.raw is not None and case.read is not None:
            self._raw.seconds = 0.0
            expected = await case.raw(self._raw, answer)
            raw = self._raw.seconds * 1000
            found = case.read(answer)
            equal = found == expected
            if not equal:
                print(f"{case.name} answers\n  {_short(found)}\ninstead of\n  {_short(expected)}", file=sys.stderr)
        for _ in range(WARM_UP):
            await self._ask(case)
        before = self._cpu()
        alone = await self._timed(case, self._options.requests)
        share = max(2, self._options.crowd // CLIENTS)
        crowds = await asyncio.gather(*(self._timed(case, share) for _ in range(CLIENTS)))
        crowd = [seconds for client in crowds for seconds in client]
        requests = len(alone) + len(crowd)
        cpu = [1000 * (after - then) / requests for after, then in zip(self._cpu(), before, strict=True)]
        return Result(case, Times.of(alone), Times.of(crowd), cpu, self._failed, size, raw, equal)

    def _cpu(self) -> list[float]:
        return [cpu_seconds(pid) for pid in self._pids]

    async def _timed(self, case: Case, requests: int) -> list[float]:
        """What one client's requests take, each sent as soon as the one before is answered; fewer if they are slow."""
        taken: list[float] = []
        until = time.perf_counter() + PATIENCE_SECONDS
        while len(taken) < requests and (len(taken) < LEAST or time.perf_counter() < until):
            began = time.perf_counter()
            async with self._session.request(case.endpoint[0], self._url + case.path, json=case.body) as answer:
                await answer.read()
            self._failed += answer.status != 200
            taken.append(time.perf_counter() - began)
        return taken

    async def _ask(self, case: Case) -> tuple[Any, int]:
        """A good answer and its size; the services may still be busy with what the request before has left."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            async with self._session.request(case.endpoint[0], self._url + case.path, json=case.body) as answer:
                body = await answer.read()
            if answer.status == 200:
                return json.loads(body), len(body)
            if time.monotonic() > deadline:
                raise SystemExit(f"{case.name}: {answer.status} {body.decode()}")
            await asyncio.sleep(1)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 2000 else text[:2000] + " ..."


async def run(url: str, pids: list[int], dsn: str, data: Dataset, options: argparse.Namespace) -> list[Result]:
    """Every request that is wanted, each with its row printed as soon as it is there."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("SET work_mem = '256MB'; SET timezone = 'UTC'")
    results = []
    connector = aiohttp.TCPConnector(limit=0)
    try:
        headers = {"Authorization": f"Bearer {data.api_key}"}
        async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
            bench = Bench(session, url, pids, Raw(connection, data), options)
            for case in cases(data):
                if not options.only or any(text in case.name for text in options.only):
                    results.append(await bench.measure(case))
                    print(results[-1].row(), flush=True)
    finally:
        await connection.close()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the data set's folder; made if it is not there")
    parser.add_argument("--events", type=int, default=20_000_000, help="of a data set that is not there yet")
    parser.add_argument("--requests", type=int, default=200, help="of one client")
    parser.add_argument("--crowd", type=int, default=640, help=f"of {CLIENTS} clients together")
    parser.add_argument("--kept", type=int, default=0, help="bytes of answers that are kept; 0: each is computed")
    parser.add_argument("--only", action="append", help="requests with this text in their name; repeatable")
    options = parser.parse_args()
    folder = options.data.absolute()
    with ExitStack() as stack:
        data, server, broker = stack.enter_context(dataset.stores(folder, options.events))
        url, pids, _ = stack.enter_context(services(data, folder, server.dsn(), broker.url, options.kept))
        print(f"{data.events:,} events over {data.days} days; milliseconds\n")
        print(f"| request | p50 | p99 | p50 of {CLIENTS} | p99 of {CLIENTS} | CPU | from raw events | equal | bytes |")
        print("|---|---|---|---|---|---|---|---|---|", flush=True)
        results = asyncio.run(run(url, [*pids, server.pid], server.dsn(), data, options))
    print("\nWithout a request: " + "; ".join(f"{method} {path} ({why})" for (method, path), why in LEFT_OUT.items()))
    wrong = [result.case.name for result in results if not result.equal or result.failed]
    if wrong:
        raise SystemExit(f"not equal, or not always answered: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
