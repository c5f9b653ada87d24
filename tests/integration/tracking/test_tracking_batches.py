"""No batch is fuller than it may be, whoever fills it: what waits takes bounded memory, and fits what was set aside."""

import asyncio
from pathlib import Path
from urllib.parse import quote

import pytest
import redis

from postmeter.shared.auth.secret import Secret
from postmeter.shared.stream import records
from postmeter.shared.stream.streams import stream
from postmeter.tracking import parts, service
from postmeter.tracking.durable import batch, committer
from postmeter.tracking.settings import TrackingSettings
from tests.integration.tracking_service import INTERNAL, SHARDS, click_target, hits_of, new_message
from tests.product import free_port, reachable, wait_for

URL = f"https://shop.example/{'p' * 4000}"
ELSEWHERE = b"GET /nowhere HTTP/1.1\r\nHost: t\r\n\r\n"
KEYS = Secret("1:a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=")
LIMIT = 50_000


def waiting(client: redis.Redis) -> int:
    """How many clients a pause of Redis makes wait."""
    return sum("b" in one["flags"] for one in client.client_list())


@pytest.mark.parametrize("kept", ["MAX_BYTES", "MAX_RECORDS"])
async def test_hits_of_many_connections_wait_for_the_next_batch(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    """Both appenders wait for Redis; every second connection is aiohttp's."""
    most = {"MAX_BYTES": LIMIT, "MAX_RECORDS": 12}[kept]
    for module in (batch, committer):
        monkeypatch.setattr(module, kept, most)
    port, stop, message = free_port(), asyncio.Event(), new_message()
    settings = TrackingSettings(
        port=port, redis_url=Secret(redis_url), shards=SHARDS, internal_secret=INTERNAL, token_keys=KEYS,
        public_url="http://t.example.net", spool_dir=str(tmp_path / "spool"), spool_reserve=0, append_deadline=120,
    )  # fmt: skip
    running = asyncio.create_task(service.serve(settings, stop))
    request = f"GET {click_target(message, URL, f'url={quote(URL, safe=str())}')} HTTP/1.1\r\nHost: t\r\n\r\n".encode()
    try:
        await reachable(port, running)
        wires = [await asyncio.open_connection("127.0.0.1", port) for _ in range(60)]
        for reader, writer in wires[::2]:
            writer.write(ELSEWHERE)
            assert b" 404 " in await reader.readuntil(b"\r\n\r\n")
        with redis.Redis.from_url(redis_url) as client:
            client.client_pause(120_000, all=False)
            for number, (_, writer) in enumerate(wires):
                writer.write(request)
                if number < parts.APPENDERS:
                    await asyncio.to_thread(wait_for, "an append", lambda: waiting(client) > number)  # noqa: B023
            client.client_unpause()
            for reader, writer in wires:
                # Of the 404 some bytes may be left.
                assert URL.encode() in await reader.readuntil(URL.encode())
                writer.close()
            entries = [entry for shard in range(SHARDS) for _, entry in client.xrange(stream(shard))]
        packed = [entry[records.RECORDS] for entry in entries]
        if kept == "MAX_RECORDS":
            assert max(len(records.decode(one)) for one in packed) <= most
        else:
            assert max(map(len, packed)) <= most + len(request)
        assert len(hits_of(redis_url, message)) == len(wires)
    finally:
        stop.set()
        await running
