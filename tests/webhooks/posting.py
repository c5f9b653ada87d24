"""Webhooks from end to end: sources made by the command, deliveries through a real gateway, tracking-service and
aggregator, and what is then in the tables.
"""

import asyncio
import json
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from click.testing import CliRunner

from postmeter.cli.main import main
from postmeter.shared.auth.secret import Secret
from postmeter.shared.storage.rollups import COUNTERS, TOTAL
from postmeter.tracking import service as tracking
from postmeter.tracking.settings import TrackingSettings
from postmeter.tracking.webhooks.providers import sns_certificates
from tests.aggregation import Bench, bench
from tests.integration.running_gateway import TOKEN_KEYS, bearer, client, gateway
from tests.integration.running_query import INTERNAL, Workspaces, workspaces
from tests.product import free_port, reachable
from tests.waiting import until
from tests.webhooks.accounts import Call, Source
from tests.webhooks.sns import Sns

SOURCE_KEY = "source key of the tests"
WORKSPACE = "shop"


@dataclass
class WebhookGateway:
    """What a test of a workspace talks to: `gateway` is the URL, `key` the workspace's, `sns` what Amazon answers."""

    bench: Bench
    here: Workspaces
    gateway: str
    session: aiohttp.ClientSession
    key: str
    sns: Sns
    workspace: int
    name: str = WORKSPACE

    async def source(self, provider: str, secret: str = "", *options: str, workspace: str = "") -> Source:
        """A source as `postmeter source create` makes it."""
        arguments = ["source", "create", "--workspace", workspace or self.name, "--provider", provider]
        arguments += ["--name", "of a test"]
        arguments += ["--secret-file", "-"] if secret else []
        for option in options:
            arguments += ["--option", option]
        output = await self.command(*arguments, typed=secret)
        lines = dict(line.split() for line in output.splitlines() if line[:3] in ("url", "sec"))
        return Source(lines["url"], secret or lines["secret"])

    async def command(self, *arguments: str, typed: str = "") -> str:
        """What a `postmeter` command prints."""
        environ = {
            "POSTMETER_POSTGRES_DSN": self.bench.dsn,
            "POSTMETER_SOURCE_KEY": SOURCE_KEY,
            "POSTMETER_PUBLIC_GATEWAY_URL": self.gateway,
            "POSTMETER_REDIS_URL": self.bench.settings.redis_url.reveal(),
        }
        result = await asyncio.to_thread(CliRunner().invoke, main, arguments, env=environ, input=typed)
        assert result.exit_code == 0, result.output
        return result.output

    async def post(self, source: Source, call: Call, **headers: str) -> tuple[int, Any, Mapping[str, str]]:
        async with self.session.post(source.url, data=call[0], headers=call[1] | headers) as answer:
            body = await answer.read()
            return answer.status, json.loads(body), answer.headers

    async def take(self, source: Source, call: Call) -> Any:
        """The answer to a delivery that is taken."""
        status, body, _ = await self.post(source, call)
        assert status == 200, body
        return body

    async def register(self, **fields: Any) -> str:
        """The id of a message registered through the gateway."""
        given = {"from_address": "news@shop.example", "to": "ada@mail.example"} | fields
        url = f"{self.gateway}/v1/messages"
        async with self.session.post(url, json=given, headers=bearer(self.key)) as answer:
            body = json.loads(await answer.read())
            assert answer.status == 201, body
            return str(body["data"]["id"])

    async def history(self, rows: int) -> list[dict[str, Any]]:
        """The workspace's rows of `event`, once there are so many: an event may come before its message is known."""
        query = "SELECT count(*) = $1 FROM event WHERE workspace = $2"

        async def reached() -> bool:
            await self.bench.counted()
            return bool(await self.bench.value(query, rows, self.workspace))

        await until(reached)
        query = "SELECT * FROM history WHERE workspace = $1 ORDER BY at, type"
        return [dict(row) for row in await self.bench.db.fetch(query, self.workspace)]

    async def dead_letters(self) -> list[dict[str, Any]]:
        await self.bench.counted()
        query = "SELECT * FROM dead_letter WHERE workspace = $1 ORDER BY id"
        return [dict(row) for row in await self.bench.db.fetch(query, self.workspace)]

    async def total(self) -> dict[str, int]:
        """The workspace's counters that are not 0."""
        await self.bench.counted()
        sums = ", ".join(f"sum({name})::bigint AS {name}" for name in COUNTERS)
        query = f"SELECT {sums} FROM activity_15m WHERE workspace = $1 AND series = $2"
        row = await self.bench.db.fetchrow(query, self.workspace, TOTAL)
        return {name: value for name, value in dict(row or {}).items() if value}

    async def counts(self, expected: dict[str, int]) -> None:
        """Wait until the rollups say this, and nothing else; which deliveries are trackable is not asked."""

        async def total() -> dict[str, int]:
            return {name: n for name, n in (await self.total()).items() if name != "trackable"}

        async def reached() -> bool:
            return await total() == expected

        try:
            await until(reached)
        except AssertionError:
            assert await total() == expected


@asynccontextmanager
async def posting(dsn: str, redis_url: str, folder: Path, **settings: Any) -> AsyncIterator[WebhookGateway]:
    """Everything that a delivery goes through, and a workspace. settings: of tracking-service."""
    sns, port = Sns(), free_port()
    # Who signs the URL as well signs the one that is called.
    public = {"public_gateway_url": f"http://127.0.0.1:{port}"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sns_certificates, "outside", sns.fetch)
        patch.setattr(sns_certificates, "_known", OrderedDict())
        async with (
            bench(dsn, redis_url) as rig,
            workspaces(dsn) as here,
            rig.aggregator(),
            running_tracking(redis_url, rig.settings.shards, folder, public | settings) as tracking_url,
            gateway(dsn, tracking_url=tracking_url, port=port) as url,
            client() as session,
        ):
            yield await _opened(WebhookGateway(rig, here, url, session, "", sns, 0), WORKSPACE)


async def another(post: WebhookGateway) -> WebhookGateway:
    """The same for a new workspace of its own."""
    return await _opened(post, uuid.uuid4().hex)


async def _opened(post: WebhookGateway, name: str) -> WebhookGateway:
    workspace = await post.here.workspace(name)
    key = await post.here.key(workspace, scopes=("track",))
    return replace(post, key=key, workspace=workspace, name=name)


@asynccontextmanager
async def running_tracking(redis_url: str, shards: int, folder: Path, given: dict[str, Any]) -> AsyncIterator[str]:
    """The base URL of a running tracking-service."""
    port, ops_port = free_port(), free_port()
    settings = TrackingSettings(
        port=port,
        ops_port=ops_port,
        redis_url=Secret(redis_url),
        shards=shards,
        internal_secret=INTERNAL,
        token_keys=TOKEN_KEYS,
        public_url="http://t.example.net",
        source_key=Secret(SOURCE_KEY),
        spool_dir=str(folder),
        log_level="critical",
        stop_timeout=1.0,
        **{"public_gateway_url": "https://gateway.example"} | given,
    )
    stop = asyncio.Event()
    task = asyncio.create_task(tracking.serve(settings, stop))
    try:
        await reachable(ops_port, task)
        yield f"http://127.0.0.1:{port}"
    finally:
        stop.set()
        await task
