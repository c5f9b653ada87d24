"""What happens on a small disk that fills under load; run as a program, in a mount namespace of its own.

    unshare --mount python -m tests.integration.full_disk FOLDER [mounted]

FOLDER gets a tmpfs of a few megabytes (`mounted`: it is on a small disk already) with Redis' files, the spool and the
service's log on it. Prints what was found as JSON; test_full_disk judges it.
"""

import json
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from postmeter.cli.local.errors import StartError
from postmeter.cli.local.servers.binaries import find_redis
from postmeter.cli.local.servers.redis_server import RedisServer
from tests.integration.tracking_service import Reply, Service, click_target, hits_of, new_message, open_target
from tests.product import wait_for

DISK_BYTES = 24 << 20
RESERVE_BYTES = 2 << 20
URL = "https://shop.example/"


class Phase:
    """Visitors of one message of its own: half of them open it, half click, each over one connection."""

    def __init__(self, service: Service, visitors: int = 6) -> None:
        self.message = new_message()
        self.unmarked = self.marked = 0
        self.reasons: set[str] = set()
        # Set before the service is killed: one that lives must answer.
        self.may_end = False
        self._service = service
        self._stop = False
        self._lock = threading.Lock()
        self._failed: list[str] = []
        click = click_target(self.message, URL, f"url={quote(URL, safe='')}")
        targets = [open_target(self.message), click]
        self._threads = [
            threading.Thread(target=self._visit, args=(targets[number % 2],), daemon=True) for number in range(visitors)
        ]
        for thread in self._threads:
            thread.start()

    def _visit(self, target: str) -> None:
        request = f"GET {target} HTTP/1.1\r\nHost: t\r\n\r\n".encode()
        try:
            with closing(self._service.connect()) as wire:
                while not self._stop:
                    wire.send(request)
                    self._take(wire.reply())
        except (AssertionError, OSError) as error:
            if not self.may_end:
                self._failed.append(repr(error))

    def _take(self, reply: Reply) -> None:
        assert reply.status in (200, 302), reply.status
        with self._lock:
            reason = reply.headers.get("postmeter-dropped")
            if reason is None:
                self.unmarked += 1
            else:
                self.marked += 1
                self.reasons.add(reason)

    def until(self, what: str, *, unmarked: int = 0, marked: int = 0) -> "Phase":
        goals = self.unmarked + unmarked, self.marked + marked
        wait_for(what, lambda: self.unmarked >= goals[0] and self.marked >= goals[1])
        return self

    def end(self) -> "Phase":
        self._stop = True
        for thread in self._threads:
            thread.join()
        assert not self._failed, self._failed
        return self

    def found(self, redis_url: str) -> dict[str, Any]:
        return {
            "unmarked": self.unmarked,
            "marked": self.marked,
            "reasons": sorted(self.reasons),
            "recorded": len(hits_of(redis_url, self.message)),
        }


def fill(ballast: Path) -> None:
    """Write until the disk takes nothing more, to the last block."""
    with ballast.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))


def readiness(service: Service) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{service.ops_port}/readyz", timeout=60) as answer:
            return {"status": 200, **json.load(answer)}
    except urllib.error.HTTPError as error:
        return {"status": error.code, **json.load(error)}


def scenario(disk: Path, sockets: Path, started: list[Service]) -> dict[str, Any]:
    """Fill the disk under load, restart on it, use up what was set aside, free it, and count."""
    binary = find_redis()
    server = RedisServer(binary=binary, data=disk / "redis", sockets=sockets, log=disk / "redis.log")
    spool, ballast = disk / "spool", disk / "ballast"
    settings = {"append_deadline": 0.3, "spool_reserve": RESERVE_BYTES, "disk_low": 1 << 20}
    server.start()
    started.append(service := Service(server.url, spool, **settings))
    out: dict[str, Any] = {"before": readiness(service)}
    phases = [Phase(service).until("traffic", unmarked=200)]
    fill(ballast)
    phases[0].until("hits on a full disk", unmarked=2000)
    fill(ballast)
    phases[0].until("more of them", unmarked=500)
    out["redis_ended"] = server.process is not None and server.process.returncode is not None
    try:
        server.start()
        out["redis_start"] = "started"
    except StartError as error:
        out["redis_start"] = str(error)
    out["full"] = readiness(service)
    out["reserve_in_use"] = service.metric("postmeter_spool_reserve_bytes") < RESERVE_BYTES
    out["disk_free"] = service.metric("postmeter_spool_disk_free_bytes")
    phases[0].may_end = True
    service.kill()
    phases[0].end()

    started.append(service := Service(server.url, spool, **settings))
    out["folders"] = len(list(spool.iterdir()))
    phases.append(Phase(service).until("hits after a restart on the full disk", unmarked=200))
    phases[1].until("the end of what was set aside", marked=2000)
    phases[1].end()
    out["write"] = service.post("/v1/messages", {"from_address": "a@b.example", "to": "c@d.example"}).status
    out["used_up"] = readiness(service)
    out["dropped"] = service.dropped("spool_failed")

    ballast.unlink()
    phases.append(Phase(service).until("hits on the freed disk", unmarked=50).end())
    server.start()
    wait_for("a drained spool", lambda: not list(spool.glob("*/*.segment")))
    wait_for("a reserve as before", lambda: service.metric("postmeter_spool_reserve_bytes") == RESERVE_BYTES)
    phases.append(Phase(service).until("hits into Redis", unmarked=50).end())
    out["log_lines"] = len(service.log.read_bytes().splitlines())
    out["after"] = readiness(service)
    out["phases"] = [phase.found(server.url) for phase in phases]
    out["stopped"] = service.terminate()
    server.stop()
    return out


def main(folder: Path, *, mounted: bool) -> None:
    if not mounted:
        size = f"size={DISK_BYTES}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", size, "postmeter-test", str(folder)], check=True)
    started: list[Service] = []
    with tempfile.TemporaryDirectory(prefix="pm-") as sockets:
        try:
            json.dump(scenario(folder, Path(sockets), started), sys.stdout)
        finally:
            for service in started:
                service.kill()


if __name__ == "__main__":
    main(Path(sys.argv[1]), mounted=sys.argv[2:] == ["mounted"])
