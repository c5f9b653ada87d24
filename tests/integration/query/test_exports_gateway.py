"""Exports through the gateway: ordered with a key, downloaded by anybody who has the link."""

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.integration.export_service import NAME, Api, exporting, fill, noon
from tests.integration.running_gateway import bearer, client, gateway
from tests.product import free_port
from tests.waiting import until

ROWS = 6_000


@dataclass
class ExportGateway:
    """One workspace behind a gateway, and a key of it."""

    api: Api
    url: str
    session: aiohttp.ClientSession
    key: str

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        url = f"{self.url}/api/v1/workspaces/{NAME}/analytics{path}"
        async with self.session.request(method, url, headers=bearer(self.key), **options) as answer:
            return answer.status, await answer.json(content_type="application/json")

    async def link(self, **body: Any) -> Any:
        """The status's data of a new export."""
        status, answer = await self.ask("POST", "/export", json={"export_type": "messages", **body})
        assert status == 200, answer
        path = f"/exports/{answer['data']['export_id']}"
        found: list[Any] = []

        async def completed() -> bool:
            found.append((await self.ask("GET", path))[1]["data"])
            return bool(found[-1]["status"] == "completed")

        await until(completed)
        return found[-1]


@pytest.fixture
async def town(postgres_dsn: str, redis_url: str, tmp_path: Path) -> AsyncIterator[ExportGateway]:
    port = free_port()
    public = f"http://127.0.0.1:{port}"
    async with (
        exporting(postgres_dsn, redis_url, tmp_path, public_gateway_url=public) as api,
        gateway(postgres_dsn, query_url=api.url, port=port),
        client() as session,
    ):
        yield ExportGateway(api, public, session, await api.here.key(api.workspace))


async def test_a_large_file_comes_through_whole_with_its_length(town: ExportGateway) -> None:
    await fill(town.api.here, town.api.workspace, ROWS, noon())
    data = await town.link()
    assert data["file_size_bytes"] > 1 << 20  # passed on piece by piece
    link = data["download_url"]
    assert link.startswith(f"{town.url}/api/v1/workspaces/{NAME}/analytics/exports/{data['export_id']}/download?")
    async with town.session.get(URL(link, encoded=True)) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{data["export_id"]}.csv"'
        assert answer.headers["Cache-Control"] == "private, no-store"
        assert answer.content_length == data["file_size_bytes"]
        content = await answer.read()
    rows = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    assert len({row["message_id"] for row in rows}) == len(rows) == ROWS
    async with town.session.head(URL(link, encoded=True)) as answer:
        assert (answer.status, answer.content_length) == (200, data["file_size_bytes"])
        assert await answer.read() == b""


async def test_a_link_is_refused_in_the_document_s_envelope(town: ExportGateway) -> None:
    await fill(town.api.here, town.api.workspace, 1, noon())
    link = (await town.link())["download_url"]
    await town.api.here.pool.execute("UPDATE export SET expires_at = now()")
    for url, status, code in (
        (link, 410, "LINK_EXPIRED"),
        (link[:-1], 403, "INVALID_LINK"),
        (link.replace(NAME, "other"), 403, "INVALID_LINK"),
        (link.partition("?")[0], 403, "INVALID_LINK"),
    ):
        async with town.session.get(URL(url, encoded=True)) as answer:
            body = await answer.json(content_type="application/json")
            assert (answer.status, body["success"], body["error"]["code"]) == (status, False, code)


async def test_a_key_without_the_scope_orders_nothing(town: ExportGateway) -> None:
    town.key = await town.api.here.key(town.api.workspace, scopes=("track",))
    assert (await town.ask("POST", "/export", json={"export_type": "messages"}))[0] == 403
    assert (await town.ask("GET", "/exports/exp_1"))[0] == 403
