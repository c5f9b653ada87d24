"""What the tests of exports share: workspaces full of history, and a query-service that works on exports."""

import asyncio
import csv
import io
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from postmeter.query import app
from postmeter.query.engine.engine import Engine
from postmeter.query.exports import service
from postmeter.query.exports.service import ExportService
from postmeter.query.live.live import Live
from postmeter.query.metrics import ExportMetrics, LiveMetrics, QueryMetrics
from postmeter.query.requests.connection_limiter import ConnectionLimiter
from postmeter.query.requests.handler import system_clock
from postmeter.query.settings import QuerySettings
from postmeter.shared.auth.secret import Secret
from postmeter.shared.storage import uuid7
from postmeter.shared.stream.events import Engagement, EventType, State, Verdict
from tests import sealing
from tests.integration.running_query import (
    INTERNAL,
    Fact,
    Workspaces,
    kept_answers,
    listening,
    query_settings,
    sealed,
    workspaces,
)
from tests.waiting import until

NAME = "ws_xyz789"
Answer = tuple[int, Any]
DAY = timedelta(days=1)


def noon(days_ago: int = 1) -> datetime:
    """A moment that lies in every window of exports."""
    return datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - days_ago * DAY


@dataclass
class Api:
    """A workspace, and the service asked as its key."""

    here: Workspaces
    url: str
    workspace: int
    session: aiohttp.ClientSession
    made: ExportService
    settings: QuerySettings
    registry: CollectorRegistry
    role: dict[str, Any] = field(default_factory=dict)
    name: str = NAME

    def seen_as(self, **role: Any) -> "Api":
        """The same as another key sees it."""
        return Api(**{**self.__dict__, "role": role})

    @property
    def base(self) -> str:
        return f"{self.url}/api/v1/workspaces/{self.name}/analytics"

    async def ask(self, method: str, path: str, body: Any = None) -> Answer:
        headers = sealed(self.workspace, workspace_id=self.name, **self.role)
        async with self.session.request(method, self.base + path, json=body, headers=headers) as answer:
            return answer.status, json.loads(await answer.read())

    async def order(self, **body: Any) -> str:
        """The id of a new export."""
        status, answer = await self.ask("POST", "/export", {"format": "csv", **body})
        assert (status, answer["success"], answer["data"]["status"]) == (200, True, "processing"), answer
        return str(answer["data"]["export_id"])

    async def status(self, export_id: str) -> Answer:
        return await self.ask("GET", f"/exports/{export_id}")

    async def ended(self, export_id: str) -> Answer:
        """The status once it is no longer processing."""
        found: list[Answer] = []

        async def over() -> bool:
            status, answer = await self.status(export_id)
            found.append((status, answer))
            return status != 200 or answer["data"]["status"] != "processing"

        await until(over)
        return found[-1]

    async def completed(self, **body: Any) -> Any:
        """The status's data of a new export that is complete."""
        status, answer = await self.ended(await self.order(**body))
        assert (status, answer["success"], answer["data"]["status"]) == (200, True, "completed"), answer
        return answer["data"]

    async def failed(self, **body: Any) -> str:
        """Why a new export failed."""
        status, answer = await self.ended(await self.order(**body))
        assert (status, answer["success"], answer["error"]["code"]) == (422, False, "EXPORT_FAILED"), answer
        return str(answer["error"]["message"]).removeprefix("Failed to generate export: ")

    async def download(self, url: str) -> bytes:
        """A file by its link, fetched from the service itself."""
        base = self.settings.gateway_base
        target = self.url + url.removeprefix(base) if url.startswith(base) else url
        async with self.session.get(target) as answer:
            assert answer.status == 200, await answer.read()
            body = await answer.read()
            assert answer.content_length == len(body)
            return body

    async def file(self, **body: Any) -> bytes:
        return await self.download((await self.completed(**body))["download_url"])

    async def rows(self, **body: Any) -> list[dict[str, str]]:
        """A CSV export, read back."""
        text = (await self.file(**body)).decode()
        return list(csv.DictReader(io.StringIO(text, newline="")))

    async def counted(self, result: str) -> float:
        return self.registry.get_sample_value("postmeter_exports_total", {"result": result}) or 0.0

    async def is_counted(self, result: str) -> bool:
        """Whether it is at all; it is a moment after an export's status says how it ended."""
        return await self.counted(result) > 0

    async def row(self, export_id: str) -> asyncpg.Record:
        row = await self.here.pool.fetchrow("SELECT * FROM export WHERE id = $1", export_id)
        assert row is not None
        return row

    def files(self) -> list[str]:
        """Everything in the folder of exports, however deep."""
        folder = Path(self.settings.export_dir)
        return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


async def series(here: Workspaces, workspace: int, campaign: str, domain: str, mailbox_provider: str = "") -> int:
    number: int = await here.pool.fetchval(
        "INSERT INTO series (workspace, campaign, domain, provider, mailbox_provider)"
        " VALUES ($1, $2, $3, 'SENDGRID', $4)"
        " ON CONFLICT (workspace, campaign, domain, provider, template, tags, mailbox_provider)"
        " DO UPDATE SET campaign = EXCLUDED.campaign RETURNING id",
        workspace,
        campaign,
        domain,
        mailbox_provider,
    )
    return number


async def message(here: Workspaces, workspace: int, **given: Any) -> uuid.UUID:
    """A delivered message as the aggregator stores it, opened and clicked, with its history and its campaign."""
    at = given.pop("at", noon())
    campaign, domain = given.pop("campaign", "spring"), given.pop("domain", "shop.example")
    url, user_agent = given.pop("url", "https://shop.example/a"), given.pop("user_agent", "Thunderbird")
    number = await series(here, workspace, campaign, domain, given.pop("mailbox_provider", ""))
    row = {
        "workspace": workspace,
        "id": uuid7.new(int(at.timestamp() * 1000)),
        "series": number,
        "state": int(State.DELIVERED),
        "campaign": campaign,
        "from_address": f"news@{domain}",
        "to_hash": "ab" * 32,
        "to_domain": "reader.example",
        "subject": "Hello",
        "provider": "SENDGRID",
        "provider_account": "",
        "provider_message": "sg-1",
        "template": "welcome",
        "tags": ["a", "b"],
        "created_at": at,
        "sent_at": at,
        "delivered_at": at + timedelta(seconds=1),
        **given,
    }
    await _insert(here, "message", row)
    await _campaign(here, workspace, campaign)
    for kind in (Engagement.OPEN, Engagement.CLICK):
        opened = at + timedelta(minutes=int(kind))
        first = {"message": row["id"], "kind": int(kind), "at": opened, "series": number}
        await _insert(here, "engagement", {"workspace": workspace, **first})
    event = {"workspace": workspace, "message": row["id"], "series": number}
    await _insert(here, "event", {**event, "at": at, "received_at": at, "type": int(EventType.SENT)})
    click = {"at": at + timedelta(minutes=2), "received_at": at + timedelta(minutes=2), "type": int(EventType.CLICKED)}
    click |= {"verdict": int(Verdict.HUMAN), "verdict_reason": "none", "ip": "203.0.113.0"}
    await _insert(here, "event", {**event, **click, "url": url, "user_agent": user_agent})
    await here.add(workspace, Fact(at, campaign, domain, "SENDGRID", counters={"sent": 1, "delivered": 1}))
    identity: uuid.UUID = row["id"]
    return identity


async def fill(here: Workspaces, workspace: int, rows: int, at: datetime, campaign: str = "large") -> None:
    """So many messages of one day."""
    number = await series(here, workspace, campaign, "shop.example")
    await _campaign(here, workspace, campaign)
    await here.pool.execute(
        "INSERT INTO message SELECT $1, gen_random_uuid(), $3, 5, $4, 'news@shop.example', repeat('ab', 32),"
        " 'reader.example', 'Subject ' || n, 'SENDGRID', '', 'sg-' || n, 'welcome', '{a,b}',"
        " $5::timestamptz + n * '1 ms'::interval,"
        " $5, $5 FROM generate_series(1, $2::int) n",
        workspace,
        rows,
        number,
        campaign,
        at,
        timeout=120,
    )
    await here.add(workspace, Fact(at, campaign, "shop.example", "SENDGRID", counters={"sent": rows}))


async def _campaign(here: Workspaces, workspace: int, campaign: str) -> None:
    await here.pool.execute(
        "INSERT INTO campaign (workspace, id, name) VALUES ($1, $2, $2) ON CONFLICT DO NOTHING", workspace, campaign
    )


async def _insert(here: Workspaces, table: str, row: dict[str, Any]) -> None:
    places = ", ".join(f"${place}" for place in range(1, len(row) + 1))
    await here.pool.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", *row.values())


@asynccontextmanager
async def exporting(
    dsn: str, redis_url: str, folder: Path, *, work: bool = True, retry_seconds: float = 5.0, **given: Any
) -> AsyncIterator[Api]:
    """A workspace, and a query-service that takes orders and, with `work`, works on them."""
    settings = query_settings(postgres_dsn=Secret(dsn), export_dir=str(folder), **given)
    registry, stop = CollectorRegistry(), asyncio.Event()
    redis, pool = Redis.from_url(redis_url), await service.connect(settings)
    made = service.build(settings, pool, system_clock, ExportMetrics(registry))
    async with workspaces(dsn) as here, sealing.session() as session:
        measured = QueryMetrics(CollectorRegistry())
        limiter = ConnectionLimiter(here.pool.get_max_size(), settings.statement_timeout)
        live = Live(here.pool, redis, limiter, LiveMetrics(CollectorRegistry()))
        cache = kept_answers(here.pool, system_clock)
        by_path = app.handlers(here.pool, Engine(here.pool), redis, INTERNAL, system_clock, made.requests, live)
        application = app.build(by_path, INTERNAL, measured, limiter, cache)
        async with listening(app.runner(application, settings.clocks, 1.0)) as url:
            number = await here.workspace(NAME)
            await here.pool.execute(
                "INSERT INTO api_key (id, workspace, hmac, role, scopes) VALUES ('k', $1, '', 'admin', '{analytics}')",
                number,
            )
            worker = replace(made.worker, retry_seconds=retry_seconds)
            task = asyncio.create_task(worker.run(stop)) if work else None
            try:
                yield Api(here, url, number, session, made, settings, registry)
            finally:
                stop.set()
                if task is not None:
                    await task
                await redis.aclose()
                await pool.close()
