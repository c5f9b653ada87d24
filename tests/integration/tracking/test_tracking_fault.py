"""A fault of ours costs the one hit that meets it: nobody else, and no part of the service."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from postmeter.shared.links.hits import GIF
from postmeter.shared.links.tokens import KeyRing
from postmeter.tracking.durable.appender import Appender
from postmeter.tracking.hits.policy import HitPolicy
from tests.integration.misbehaving_clients import answer
from tests.integration.running_gateway import TOKEN_KEYS
from tests.integration.tracking_service import click_target, new_message, open_target
from tests.webhooks.posting import running_tracking

KEYS = KeyRing.parse(TOKEN_KEYS)


def get(target: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: t\r\n\r\n".encode()


async def test_a_fault_in_what_waited_for_a_batch_stops_nothing(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, begun, append = asyncio.Event(), asyncio.Event(), Appender.append

    async def held(*given: Any) -> None:
        begun.set()
        await gate.wait()
        await append(*given)

    def fault(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Appender, "append", held)
    monkeypatch.setattr(HitPolicy, "click", fault)
    pixel = get(open_target(new_message(), KEYS))
    async with running_tracking(redis_url, 1, tmp_path, {}) as url:

        async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            return await asyncio.open_connection("127.0.0.1", urlsplit(url).port)

        for _ in range(4):  # more often than batches are in flight at once
            gate.clear()
            begun.clear()
            (reader, writer), (other, asks) = await connect(), await connect()
            writer.write(pixel)
            await begun.wait()
            writer.write(get(click_target(new_message(), "https://a.example/", "url=x", KEYS)) + pixel)
            asks.write(get("/elsewhere"))
            assert (await answer(other))[0] == 404  # what was sent before is there
            gate.set()
            assert await answer(reader) == (200, GIF)
            status, body = await answer(reader)
            assert (status, b"INTERNAL_ERROR" in body) == (500, True)
            assert await reader.read() == b""
            writer.close()
            asks.close()
        reader, writer = await connect()
        writer.write(pixel)
        assert await answer(reader) == (200, GIF)
        writer.close()
