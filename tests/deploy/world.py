"""A cluster with the product in it, its stores beside it, and what the tests ask it."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections import Counter
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg

from tests.deploy.cluster import Cluster
from tests.deploy.environments import SERVICES, secrets
from tests.deploy.http import Caller
from tests.deploy.manifests import Manifests, groups
from tests.deploy.services import StandIn
from tests.deploy.traffic import Ledger, Traffic
from tests.roles import make_roles, of_service

DOORS = ("tracking", "gateway")
METRICS = ["delivered", "opens", "clicks", "machine_opens", "machine_clicks"]


class World:
    """`manifests` is what was last applied."""

    def __init__(self, cluster: Cluster, manifests: Manifests, dsn: str, redis_url: str) -> None:
        self.cluster, self.manifests, self._dsn, self._redis_url = cluster, manifests, dsn, redis_url
        self.key = ""

    async def start(self) -> None:
        """Stores, secrets, migration, services; ready when every workload is."""
        await make_roles(self._dsn)
        self._add_secrets()
        self.cluster.manifests = self.manifests
        await self._stand_in("postgres", f"{_postgres_folder(self._dsn)}/.s.PGSQL.5432", 5432)
        self.valkey = await self._stand_in("valkey", unquote(urlsplit(self._redis_url).path), 6379)
        await self.cluster.run_job(self.manifests.get("Job", "migrate"))
        self.key = await self._make_key()
        await self.cluster.apply(self.manifests)
        await self.cluster.settled()

    async def _stand_in(self, name: str, socket: str, port: int) -> StandIn:
        """The tests' own server in place of the overlay's; policies let in whom they let in to that."""
        (group,) = (one for one in groups(self.manifests) if one.owner == f"StatefulSet/{name}")
        assert group.port(port) == port
        self.manifests.remove("StatefulSet", name)
        self.manifests.remove("Service", name)
        return await self.cluster.stand_in(group, socket, port)

    async def _make_key(self) -> str:
        """As docs/kubernetes.md makes the first one: by commands in the pod `admin`."""
        doc = self.manifests.get("Pod", "admin")
        pod = self.cluster.create("admin", "Pod/admin", doc, "")
        await self.cluster.until("the pod admin", lambda: pod.ready)
        (container,) = pod.containers
        for command in (
            "workspace create rollout --name Rollout --timezone UTC",
            "key create --workspace rollout --role admin --scope analytics --scope track",
        ):
            assert await container.execute(["postmeter", *command.split()]) == 0, container.log.read_text()
        (key,) = re.findall(r"^(pm_\S+)", container.log.read_text(), re.MULTILINE)
        pod.delete()
        await self.cluster.until("the end of admin", lambda: pod.gone)
        self.cluster.events.clear()  # `sleep` does not heed SIGTERM
        return str(key)

    async def apply(self, manifests: Manifests) -> None:
        """Apply changed ones."""
        self.manifests = manifests
        await self.cluster.apply(manifests)

    @property
    def token_keys(self) -> str:
        """The ring as `secrets.sh` made it: one key."""
        return next(
            str(doc["stringData"]["POSTMETER_TOKEN_KEYS"]) for doc in secrets() if doc["metadata"]["name"] == "gateway"
        )

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
                                "SELECT user_agent, count(*) AS n FROM history WHERE user_agent = ANY($1) GROUP BY 1",
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
        """Those of `secrets.sh`, but for the tests' own database."""
        for doc in secrets():
            name, data = doc["metadata"]["name"], doc["stringData"]
            if "POSTMETER_POSTGRES_DSN" in data:
                data["POSTMETER_POSTGRES_DSN"] = (
                    of_service(self._inside(), name) if name in SERVICES else self._inside()
                )
            self.manifests.add(doc)

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
