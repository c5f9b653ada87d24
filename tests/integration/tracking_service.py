"""tracking-service as a process of its own, a client that sends raw bytes, and what is in the streams."""

import base64
import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import redis

from postmeter.shared.apis.documents.vectis import CLICK_PATH, OPEN_PATH
from postmeter.shared.auth.principal import HEADER, Principal
from postmeter.shared.links.tokens import KeyRing
from postmeter.shared.storage import uuid7
from postmeter.shared.stream import records
from postmeter.shared.stream.streams import stream
from tests import sealing
from tests.product import PATIENCE, answers, as_installed, free_port, wait_for

KEY = b"k" * 32
OLD_KEY = b"o" * 32
INTERNAL = sealing.INTERNAL
SHARDS = 4
WORKSPACE = 7
KEYS = KeyRing({1: KEY})
OLD_KEYS = KeyRing({0: OLD_KEY})
FOREIGN_KEYS = KeyRing({1: b"f" * 32})
UNKNOWN_KEYS = KeyRing({9: KEY})


class Reply:
    """One HTTP answer."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """A connection that sends exactly what it is told to."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._file = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def reply(self, *, head: bool = False) -> Reply:
        """Read one answer; fails if the connection ends before."""
        line = self._file.readline()
        assert line.startswith(b"HTTP/1.1 "), line
        headers: dict[str, str] = {}
        while (header := self._file.readline()) not in (b"\r\n", b""):
            name, _, value = header.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        size = 0 if head else int(headers.get("content-length", "0"))
        return Reply(int(line.split()[1]), headers, self._file.read(size))

    def say_no_more(self) -> None:
        """Close the way out, and still listen."""
        self.socket.shutdown(socket.SHUT_WR)

    def ended(self) -> bool:
        """Whether the server has closed the connection (waits for it)."""
        try:
            return self._file.read(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self._file.close()
        self.socket.close()


class Service:
    """A running tracking-service."""

    def __init__(self, redis_url: str, spool: Path, **settings: object) -> None:
        self.port, self.ops_port = free_port(), free_port()
        self.redis_url = redis_url
        self.spool = spool
        # Sent before each `get`, on the same connection; a path of aiohttp's makes it take the connection over.
        self.preface = b""
        self.log = spool.parent / f"tracking-{self.port}.log"
        ring = f"1:{base64.b64encode(KEY).decode()},0:{base64.b64encode(OLD_KEY).decode()}"
        values = {
            "PORT": self.port,
            "OPS_PORT": self.ops_port,
            "REDIS_URL": redis_url,
            "SHARDS": SHARDS,
            "INTERNAL_SECRET": INTERNAL.reveal(),
            "TOKEN_KEYS": ring,
            "PUBLIC_URL": "http://t.example.net",
            "SPOOL_DIR": spool,
            "SPOOL_RESERVE": 4 << 20,
            **{name.upper(): value for name, value in settings.items()},
        }
        environ = {**as_installed(), **{f"POSTMETER_{name}": str(value) for name, value in values.items()}}
        command = [sys.executable, "-c", "from postmeter.tracking.service import main; main()"]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(command, env=environ, stdout=output, stderr=subprocess.STDOUT)
        wait_for("tracking-service", self._is_up)

    def _is_up(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return answers(self.ops_port)

    def connect(self) -> Wire:
        return Wire(self.port)

    def ask(self, data: bytes, *, head: bool = False) -> Reply:
        """Send bytes on a connection of their own and read one answer."""
        with closing(self.connect()) as wire:
            wire.send(data)
            return wire.reply(head=head)

    def get(self, target: str, *headers: str, method: str = "GET") -> Reply:
        lines = [f"{method} {target} HTTP/1.1", "Host: t.example.net", *headers]
        with closing(self.connect()) as wire:
            if self.preface:
                wire.send(self.preface)
                wire.reply()
            wire.send("\r\n".join([*lines, "", ""]).encode("latin-1"))
            return wire.reply(head=method == "HEAD")

    def post(self, path: str, body: object, *headers: str, host: str = "t", method: str = "POST") -> Reply:
        """Send a write as the gateway does; `body` is bytes as they are, or becomes JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(data)}"]
        if not any(header.startswith(HEADER) for header in headers):
            lines.append(self.principal())
        sealed = (sealing.line(header, method, path) for header in (*lines, *headers))
        return self.ask("\r\n".join([*sealed, "", ""]).encode() + data)

    def principal(
        self,
        scopes: tuple[str, ...] = ("track",),
        domains: list[str] | None = None,
        role: str = "admin",
        workspace: int = WORKSPACE,
    ) -> str:
        """Who asks, for `post`: the header in which the gateway says so."""
        principal = Principal(
            key_id="k", workspace=workspace, workspace_id="w", role=role, scopes=list(scopes), domains=domains
        )
        return f"{HEADER}: {sealing.named(principal)[HEADER]}"

    def sealed(self, path: str) -> str:
        """The header line of one POST."""
        return sealing.line(self.principal(), "POST", path)

    def metric(self, name: str, labels: str = "") -> float:
        """The present value of a metric; 0 where it has none yet."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ops_port}/metrics", timeout=PATIENCE) as answer:
            text = answer.read().decode()
        found = re.search(rf"^{re.escape(name + labels)} (\S+)$", text, re.MULTILINE)
        return float(found.group(1)) if found else 0.0

    def warnings(self) -> dict[str, str]:
        """What /readyz warns of."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ops_port}/readyz", timeout=PATIENCE) as answer:
            found: dict[str, str] = json.load(answer)["warnings"]
        return found

    def dropped(self, reason: str) -> float:
        return self.metric("postmeter_hits_dropped_total", f'{{reason="{reason}"}}')

    def recorded(self, kind: str) -> float:
        return self.metric("postmeter_hits_total", f'{{kind="{kind}"}}')

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)


def open_target(message: bytes, keys: KeyRing = KEYS) -> str:
    return OPEN_PATH + keys.sign_open(WORKSPACE, message)


def click_target(message: bytes, url: str, query: str, keys: KeyRing = KEYS) -> str:
    """A click URL signed for `url` with `query` as its query string."""
    return f"{CLICK_PATH}{keys.sign_click(WORKSPACE, message, url)}?{query}"


def honeypot_target(message: bytes, url: str, query: str) -> str:
    """As `click_target`, of the link that no person sees."""
    return f"{CLICK_PATH}{KEYS.sign_honeypot(WORKSPACE, message, url)}?{query}"


def new_message() -> bytes:
    return uuid7.new().bytes


def batches(redis_url: str) -> list[tuple[int, str, list[records.Record]]]:
    """(shard, batch id, records) of every stream entry."""
    found = []
    with redis.Redis.from_url(redis_url) as client:
        for shard in range(SHARDS):
            for _, entry in client.xrange(stream(shard)):
                packed = entry[records.RECORDS]
                found.append((shard, entry[records.BATCH].decode(), records.decode(packed)))
    return found


def once(redis_url: str) -> list[records.Record]:
    """All records, repeated batches left out as the aggregator leaves them out."""
    distinct = {batch_id: content for _, batch_id, content in batches(redis_url)}
    return [record for content in distinct.values() for record in content]


def hits_of(redis_url: str, message: bytes) -> list[records.Hit]:
    """The recorded hits of one message."""
    return [record for record in once(redis_url) if isinstance(record, records.Hit) and record.message == message]


def empty(spool: Path) -> bool:
    return not list(spool.glob("*/*.segment"))
