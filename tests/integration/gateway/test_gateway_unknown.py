"""A gateway that the services behind it do not know: its operator is told, and its callers' keys are not to blame."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from postmeter.gateway.proxy import neighbour
from postmeter.shared.apis.endpoint import Service
from postmeter.shared.auth import sealed
from postmeter.shared.auth.secret import Secret
from tests.integration.running_gateway import bearer, client, gateway, raw_service
from tests.integration.running_query import query_service, workspaces
from tests.product import free_port
from tests.sealing import INTERNAL
from tests.webhooks.posting import running_tracking


@pytest.mark.parametrize(
    ("secret", "clock", "reason"),
    [
        (Secret("another one"), time.time, "came through the gateway"),
        (INTERNAL, lambda: time.time() - 120, "seconds old by the clock of this service"),
    ],
    ids=["secret", "clock"],
)
async def test_it_is_told(
    postgres_dsn: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    secret: Secret,
    clock: Callable[[], float],
    reason: str,
) -> None:
    now, port = datetime.now(UTC), free_port()
    async with (
        workspaces(postgres_dsn) as here,
        query_service(here, redis_url, now) as query,
        gateway(postgres_dsn, query_url=query, internal_secret=secret, ops_port=port) as url,
        client() as http,
    ):
        key = await here.key(await here.workspace())

        async def asked() -> tuple[int, str]:
            async with http.get(f"{url}/v1/campaigns", headers=bearer(key)) as answer:
                return answer.status, (await answer.json()).get("error", {}).get("code", "")

        async def warned() -> str:
            async with http.get(f"http://127.0.0.1:{port}/readyz") as answer:
                said: str = (await answer.json())["warnings"].get("internal_secret", "")
                return said

        with monkeypatch.context() as patched:
            sealing = sealed.seal
            patched.setattr(sealed, "seal", lambda *what: _sealed_at(sealing, clock(), *what))
            assert await asked() == (502, "BAD_GATEWAY")
            said = await warned()
        assert reason in said
        assert "POSTMETER_INTERNAL_SECRET must be the same in both, and their clocks" in said
        if secret is INTERNAL:
            assert await asked() == (200, "")
            assert await warned() == ""


def _sealed_at(seal: Callable[..., str], at: float, *what: object) -> str:
    """What a gateway whose clock says `at` writes."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(time, "time", lambda: at)
        return seal(*what)


async def test_exchanged_urls_are_told(postgres_dsn: str, redis_url: str, tmp_path: Path) -> None:
    ops = free_port()

    async def failed(tracking: str, query: str) -> dict[str, str]:
        async with (
            gateway(postgres_dsn, tracking_url=tracking, query_url=query, ops_port=ops),
            client() as http,
            http.get(f"http://127.0.0.1:{ops}/readyz") as answer,
        ):
            said: dict[str, str] = (await answer.json())["failed"]
            return said

    async with (
        workspaces(postgres_dsn) as here,
        query_service(here, redis_url, datetime.now(UTC)) as query,
        running_tracking(redis_url, 1, tmp_path, {}) as tracking,
    ):
        assert await failed(tracking, query) == {}
        exchanged = await failed(query, tracking)
        assert exchanged.keys() == {"tracking", "query"}
        assert "at POSTMETER_QUERY_URL is not query-service" in exchanged["query"]
        assert "POSTMETER_TRACKING_URL and POSTMETER_QUERY_URL exchanged?" in exchanged["tracking"]
        assert list(await failed(f"http://127.0.0.1:{free_port()}", query)) == ["tracking"]
        async with gateway(postgres_dsn) as another:
            looped = await failed(tracking, another)
        assert looped.keys() == {"query"}
        assert "at POSTMETER_QUERY_URL is a gateway" in looped["query"]


@pytest.mark.parametrize("answer", ["204 No Content", "503 Service Unavailable", "405 Not Allowed\r\nAllow: GET, HEAD"])
async def test_a_proxy_that_answers_of_every_path_is_no_gateway(answer: str) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {answer}\r\n\r\n".encode())
        writer.close()

    async with raw_service(talk) as url:
        await neighbour.check(Service.QUERY, url)


async def test_a_refusal_that_breaks_off_is_no_fault_of_ours(postgres_dsn: str) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 100\r\n\r\nhalf")
        writer.close()

    async with (
        workspaces(postgres_dsn) as here,
        raw_service(talk) as query,
        gateway(postgres_dsn, query_url=query) as url,
        client() as http,
    ):
        key = await here.key(await here.workspace())
        async with http.get(f"{url}/v1/campaigns", headers=bearer(key)) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (502, "BAD_GATEWAY")
