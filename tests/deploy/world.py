"""A cluster with the product in it, its stores beside it, and what the tests ask it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import uuid
from collections import Counter
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg

from postmeter.cli import admin
from postmeter.shared.secret import Secret
from tests.deploy.cluster import Cluster
from tests.deploy.http import Caller
from tests.deploy.manifests import Manifests
from tests.deploy.traffic import Ledger, Traffic
from tests.roles import make_roles, of_service

SERVICES = ("tracking", "aggregator", "query", "gateway")
DOORS = ("tracking", "gateway")
METRICS = ["delivered", "opens", "clicks", "machine_opens", "machine_clicks"]


class World:
    """`manifests` is what was last applied."""

    def __init__(self, cluster: Cluster, manifests: Manifests, dsn: str, redis_url: str) -> None:
        self.cluster, self.manifests, self._dsn, self._redis_url = cluster, manifests, dsn, redis_url
        self._pepper = secrets.token_urlsafe(32)
        self.key = ""

    async def start(self) -> None:
        """Stores, secrets, migration, services; ready when every workload is."""
        await self.cluster.stand_in("postgres", f"{_postgres_folder(self._dsn)}/.s.PGSQL.5432", 5432)
        await self.cluster.stand_in("valkey", unquote(urlsplit(self._redis_url).path), 6379)
        self._add_secrets()
        connection = await asyncpg.connect(self._dsn)
        try:
            await make_roles(self._dsn)
            self.cluster.manifests = self.manifests
            for job in self.manifests.of("Job"):
                await self.cluster.run_job(job)
            await admin.create_workspace(connection, "rollout", "Rollout", "UTC")
            scopes = ["track", "analytics"]
            self.key = await admin.create_key(connection, Secret(self._pepper), "rollout", "admin", scopes)
        finally:
            await connection.close()
        await self.cluster.apply(self.manifests)
        await self.cluster.settled()

    async def apply(self, manifests: Manifests) -> None:
        """Apply changed ones."""
        self.manifests = manifests
        await self.cluster.apply(manifests)

    async def traffic(self, campaign: str) -> Traffic:
        """Running, and answered."""
        traffic = Traffic(self.cluster, DOORS, self.key, campaign)
        await traffic.start()
        await traffic.grown(50)
        return traffic

    async def counted(self, ledger: Ledger) -> tuple[dict[str, Any], Counter[str]]:
        """What the API counts, and the history's hits by user agent, once all that was answered is there."""
        caller = Caller(self.cluster, "gateway", keep=False)
        body = json.dumps({"metrics": METRICS, "filters": {"campaign": [ledger.campaign]}}).encode()
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        connection = await asyncpg.connect(self._dsn)
        before: tuple[Any, Any] | None = None
        try:
            async with asyncio.timeout(120):
                while True:
                    answer = await caller.ask("POST", "/v1/query", headers, body)
                    row = json.loads(answer.body)["data"][0] if answer.status == 200 else {}
                    history = Counter(
                        {
                            record["user_agent"]: record["n"]
                            for record in await connection.fetch(
                                "SELECT user_agent, count(*) AS n FROM event WHERE user_agent = ANY($1) GROUP BY 1",
                                list(ledger.sent),
                            )
                        }
                    )
                    there = ledger.answered <= set(history) and row.get("delivered", 0) >= len(ledger.events_accepted)
                    if there and hits(row) == history.total() and before == (row, history):
                        return row, history
                    before = (row, history)
                    await self.cluster.news()
        except TimeoutError:
            return before or ({}, Counter())
        finally:
            await connection.close()

    def _add_secrets(self) -> None:
        shared = {
            "POSTMETER_INTERNAL_SECRET": secrets.token_urlsafe(32),
            "POSTMETER_TOKEN_KEYS": f"1:{base64.b64encode(os.urandom(32)).decode()}",
            "POSTMETER_KEY_PEPPER": self._pepper,
        }
        for service in (*SERVICES, "migrate"):
            dsn = self._inside() if service == "migrate" else of_service(self._inside(), service)
            pool = {"POSTMETER_POSTGRES_POOL": "8"}
            data = {**shared, **pool, "POSTMETER_POSTGRES_DSN": dsn}
            self.manifests.add({"kind": "Secret", "metadata": {"name": service}, "stringData": data})

    def _inside(self) -> str:
        """The DSN as pods have it."""
        parts = urlsplit(self._dsn)
        return f"postgresql://{parts.username}:{parts.password}@postgres:5432{parts.path}"


def hits(row: dict[str, Any]) -> int:
    """All of them: many clicks of one message are a machine's, and counted as such."""
    return sum(row.get(name, 0) for name in METRICS[1:])


def _postgres_folder(dsn: str) -> str:
    host = dict(pair.split("=", 1) for pair in urlsplit(dsn).query.split("&"))["host"]
    return unquote(host)


async def make_database(dsn: str) -> str:
    """An empty one; its name."""
    name = f"rollout_{uuid.uuid4().hex[:12]}"
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
    return name
