"""What the tests of exports' workers share: workers like other replicas', and an export looked at in the making."""

import asyncio
import csv
import io
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry

from postmeter.query.exports import service
from postmeter.query.metrics import ExportMetrics
from postmeter.query.requests.handler import system_clock
from tests.integration.export_service import Api
from tests.integration.running_query import INTERNAL
from tests.product import PATIENCE, answers, as_installed, free_port, wait_for
from tests.roles import of_service
from tests.waiting import until

ROWS = 50_000


@dataclass
class Service:
    """A query-service that is a process of its own."""

    process: "subprocess.Popen[bytes]"
    ops_port: int

    async def counted(self, session: aiohttp.ClientSession, result: str) -> bool:
        """Whether it has counted such an attempt."""
        async with session.get(f"http://127.0.0.1:{self.ops_port}/metrics") as answer:
            return f'postmeter_exports_total{{result="{result}"}} 1.0' in await answer.text()

    def peak(self) -> int:
        """Bytes of memory that it has held at most."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) << 10


@contextmanager
def query_service(dsn: str, redis_url: str, folder: Path, lease: float = 3.0) -> Iterator[Service]:
    ops_port = free_port()
    own = {
        "POSTGRES_DSN": of_service(dsn, "query"),
        "REDIS_URL": redis_url,
        "INTERNAL_SECRET": INTERNAL.reveal(),
        "PORT": str(free_port()),
        "OPS_PORT": str(ops_port),
        "PUBLIC_GATEWAY_URL": "https://gateway.example",
        "EXPORT_DIR": str(folder),
        "EXPORT_LEASE": str(lease),
        "LOG_LEVEL": "error",
    }
    environ = {**as_installed(), **{f"POSTMETER_{name}": value for name, value in own.items()}}
    process = subprocess.Popen([sys.executable, "-m", "postmeter.cli.main", "run", "query"], env=environ)
    try:
        wait_for("query-service", lambda: answers(ops_port) or process.poll() is not None)
        assert process.poll() is None, "query-service has ended"
        yield Service(process, ops_port)
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(PATIENCE)


@asynccontextmanager
async def working(
    api: Api, *, retry_seconds: float = 5.0, sweep_seconds: float = 10.0, **given: Any
) -> AsyncIterator[CollectorRegistry]:
    """A worker like another replica's, with a pool of its own. The registry has what it counts."""
    registry, stop = CollectorRegistry(), asyncio.Event()
    settings = replace(api.settings, **given)
    pool = await service.connect(settings)
    made = service.build(settings, pool, system_clock, ExportMetrics(registry))
    worker = replace(made.worker, retry_seconds=retry_seconds, sweep_seconds=sweep_seconds)
    task = asyncio.create_task(worker.run(stop))
    try:
        yield registry
    finally:
        stop.set()
        await task
        await pool.close()


def counted(registry: CollectorRegistry, result: str) -> float:
    return registry.get_sample_value("postmeter_exports_total", {"result": result}) or 0.0


async def in_the_middle(api: Api, export_id: str) -> None:
    """Returns when rows of an export have been written and others have not."""

    async def begun() -> bool:
        return is_written(Path(api.settings.export_dir))

    await until(begun)
    assert (await api.row(export_id))["status"] == "processing"


def is_written(folder: Path) -> bool:
    return any(file.stat().st_size for file in folder.glob("work/*/export.*") if file.exists())


async def is_whole(api: Api, export_id: str, rows: int, attempt: int) -> None:
    """The export has every message once, it was completed by this attempt, and nothing else is left.

    By this attempt or a later one: on a busy machine one more may lose its short lease.
    """
    status, answer = await api.ended(export_id)
    assert status == 200, answer
    file = await api.download(answer["data"]["download_url"])
    assert len(file) == answer["data"]["file_size_bytes"]
    messages = [row["message_id"] for row in csv.DictReader(io.StringIO(file.decode(), newline=""))]
    assert (len(messages), len(set(messages))) == (rows, rows)
    row = await api.row(export_id)
    assert row["attempt"] >= attempt
    assert row["file"] == f"{export_id}.{row['attempt']}.csv"

    async def swept() -> bool:
        return api.files() == [row["file"]]

    await until(swept)
