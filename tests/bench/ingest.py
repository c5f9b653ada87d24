"""Hits per second of one tracking-service process, beside nginx that serves a pixel and records nothing.

Both servers are pinned to core 0, the load (Debian's wrk) and Redis to core 1; they take turns, and medians
are reported. Each hit is verified and durable before its answer: after a run the records in the streams are
counted against wrk's answers. See README.md for what the figures mean and what they do not.

    python -m tests.bench.ingest [--seconds 5] [--rounds 3] [--shards 1 4 16]
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import redis

from postmeter.cli.local.servers.binaries import find_redis
from postmeter.shared.stream import records
from postmeter.shared.stream.streams import stream
from tests.integration.tracking_service import Service, new_message, open_target
from tests.product import free_port, wait_for

TOKENS = 20_000
SERVER_CORE, LOAD_CORE = 0, 1
NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000;
  server {{ listen 127.0.0.1:{port}; location / {{ empty_gif; }} }}
}}
"""


class Run(msgspec.Struct, frozen=True):
    """One run of wrk: hits per second, the server's CPU microseconds per hit, milliseconds until the answer."""

    rate: float
    cpu: float
    p50: float
    p99: float


def pin(pid: int, core: int) -> None:
    """Keep a process with all its threads on one core."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(thread), {core})


@contextmanager
def process(command: list[str], core: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server on one core."""
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.sched_setaffinity(running.pid, {core})
    try:
        yield running
    finally:
        running.terminate()
        running.wait()


@contextmanager
def redis_server(folder: Path, fsync: str | None) -> Iterator[str]:
    """The URL of a Redis on the load's core; `fsync` is its appendfsync, None keeps nothing on disk."""
    path = folder / f"{fsync}.sock"
    command = [str(find_redis()), "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(folder)]
    command += ["--appendonly", "no"] if fsync is None else ["--appendonly", "yes", "--appendfsync", fsync]
    with process(command, LOAD_CORE):
        url = f"unix://{path}"

        def answers() -> bool:
            try:
                return bool(redis.Redis.from_url(url).ping())
            except redis.ConnectionError:
                return False

        wait_for("Redis", answers)
        yield url


@contextmanager
def nginx(folder: Path) -> Iterator[tuple[int, int]]:
    """The port and the worker's process id of an nginx on the server's core."""
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port))
    binary = shutil.which("nginx") or "/usr/sbin/nginx"
    with process([binary, "-e", str(folder / "nginx.log"), "-c", str(config)], SERVER_CORE) as running:
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
        worker = wait_for("nginx", lambda: children.read_text().split() or None)
        yield port, int(worker[0])


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(port: int, pid: int, connections: int, seconds: float, tokens: Path) -> tuple[Run, int]:
    """Run wrk against the server `pid`; also the number of its answers. Fails if any was an error."""
    before = cpu_seconds(pid)
    script = Path(__file__).with_name("ingest.lua")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", str(script), f"http://127.0.0.1:{port}"]
    output = subprocess.run(
        ["taskset", "-c", str(LOAD_CORE), *command],
        env={**os.environ, "TOKENS": str(tokens)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    (line,) = [line for line in output.splitlines() if line.startswith("RESULT")]
    requests, micros, p50, p99, errors = map(int, line.split()[1:])
    if errors:
        raise SystemExit(f"wrk saw {errors} errors:\n{output}")
    cpu = (cpu_seconds(pid) - before) / requests * 1_000_000
    return Run(requests / micros * 1_000_000, cpu, p50 / 1000, p99 / 1000), requests


def settle(service: Service) -> None:
    """Wait until the hits whose clients have left at the end of a run are recorded too."""
    seen = -1.0
    while (hits := service.metric("postmeter_hits_total", '{kind="open"}')) != seen:
        seen = hits
        time.sleep(0.3)


def recorded(redis_url: str, shards: int) -> int:
    """The number of records in all streams, which are emptied."""
    total = 0
    with redis.Redis.from_url(redis_url) as client:
        for shard in range(shards):
            for _, entry in client.xrange(stream(shard)):
                total += len(records.decode(entry[records.RECORDS]))
        client.flushall()
    return total


def measure(
    service: Service,
    nginx_at: tuple[int, int],
    shards: int,
    connections: int,
    arguments: argparse.Namespace,
    tokens: Path,
) -> None:
    """Let both take turns and print a row."""
    ours, theirs = [], []
    for _ in range(arguments.rounds):
        theirs.append(load(*nginx_at, connections, arguments.seconds, tokens)[0])
        run, answered = load(service.port, service.process.pid, connections, arguments.seconds, tokens)
        ours.append(run)
        settle(service)
        found = recorded(service.redis_url, shards)
        if not answered <= found <= answered + connections:
            raise SystemExit(f"{answered} hits were answered, {found} recorded")
    rate = statistics.median(run.rate for run in ours)
    base = statistics.median(run.rate for run in theirs)
    cpu = [statistics.median(run.cpu for run in runs) for runs in (ours, theirs)]
    p50, p99 = (statistics.median(getattr(run, name) for run in ours) for name in ("p50", "p99"))
    ratios = sorted(mine.rate / other.rate for mine, other in zip(ours, theirs, strict=True))
    print(
        f"{shards:>6} {connections:>11} {rate:>10,.0f} {p50:>8.2f} {p99:>8.2f} {base:>10,.0f} {rate / base:>6.2f}"
        f"   {ratios[0]:.2f}-{ratios[-1]:.2f} {cpu[0]:>8.1f} {cpu[1]:>8.1f} {cpu[1] / cpu[0]:>6.2f}",
        flush=True,
    )


def main() -> None:
    """Measure without and with fsync."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--fsync", nargs="+", default=["none", "everysec", "always"])
    parser.add_argument("--shards", type=int, nargs="+", default=[4], help="numbers of streams")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ingest-"))
    tokens = folder / "tokens"
    tokens.write_text("".join(f"{open_target(new_message())}\n" for _ in range(TOKENS)))
    print(f"{sys.version.split()[0]}, load average {os.getloadavg()[0]:.1f} before")
    try:
        with nginx(folder) as nginx_at:
            for fsync in arguments.fsync:
                print(f"\nRedis: {'no append-only file' if fsync == 'none' else f'appendfsync {fsync}'}")
                print(
                    "shards connections     hits/s   p50 ms   p99 ms  nginx/s  ratio   from-to   CPU us    nginx  ratio"
                )
                for shards in arguments.shards:
                    with redis_server(folder, None if fsync == "none" else fsync) as redis_url:
                        service = Service(redis_url, folder / f"spool-{fsync}-{shards}", shards=shards)
                        pin(service.process.pid, SERVER_CORE)
                        for connections in arguments.connections:
                            measure(service, nginx_at, shards, connections, arguments, tokens)
                        service.terminate()
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
