"""A database on which two query-services answer, one that keeps answers and one that does not, while things happen."""

import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry
from yarl import URL

from postmeter.aggregator.conversions.attribution import attribute
from postmeter.aggregator.fold.horizon import Horizon
from postmeter.aggregator.metrics import AggregatorMetrics
from postmeter.aggregator.store.dimensions import Dimensions
from postmeter.shared.storage import uuid7
from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.records import CampaignChange, Mail, Record
from tests import sealing
from tests.aggregation import Bench, bench, event, registration
from tests.integration.contact_records import purchase
from tests.integration.flushes import Side, sides
from tests.integration.running_query import Workspaces, query_service, sealed, workspaces
from tests.oracle.asking import Asking, Domain, Workspace
from tests.oracle.asks import asks
from tests.oracle.history import History
from tests.oracle.stories import CAMPAIGNS, DOMAINS, TODAY, Story, in_workspace, micros, registered

STEPS = (timedelta(seconds=1), timedelta(minutes=7), timedelta(hours=1), timedelta(days=1))
Question = tuple[str, dict[str, Any] | None]
"""Path and body."""
Happening = Callable[[], Awaitable[None]]


@dataclass
class Kept:
    """The world of one test. now: what both services take for the present moment."""

    at: Bench
    here: Workspaces
    sides: list[Side]
    session: aiohttp.ClientSession
    registry: CollectorRegistry
    now: datetime
    kept_url: str = ""
    plain_url: str = ""

    async def ask(self, url: str, question: Question, **who: Any) -> tuple[int, Any]:
        """Status and body without `meta`, as one of the services answers."""
        path, body = question
        headers = sealed(who.pop("workspace"), scopes=["analytics", "mail:read"], **who)
        method = "GET" if body is None else "POST"
        target = URL(url + path, encoded=True)
        async with self.session.request(method, target, headers=headers, json=body) as answer:
            found = await answer.json()
        found.pop("meta", None)
        return answer.status, found

    def results(self, result: str) -> float:
        """How many questions ended so in the service that keeps answers."""
        return self.registry.get_sample_value("postmeter_query_answers_total", {"result": result}) or 0.0

    async def count(self, workspace: int, noise: random.Random, *found: Record) -> None:
        """One flush of these."""
        await noise.choice(self.sides).flush([in_workspace(one, workspace) for one in found])

    async def questions(self, workspace: int, story: Story, noise: random.Random) -> list[Question]:
        """Questions to every endpoint about a workspace."""
        row = await self.here.pool.fetchrow(
            "SELECT id, timezone, created_at FROM workspace WHERE number = $1", workspace
        )
        named = await self.here.pool.fetch("SELECT id, name FROM domain WHERE workspace = $1 ORDER BY id", workspace)
        made = await self.here.pool.fetch("SELECT id, created_at FROM campaign WHERE workspace = $1", workspace)
        assert row is not None
        about = Workspace(workspace, row["id"], row["timezone"], row["created_at"], [
            Domain(str(one["id"]), one["name"]) for one in named
        ], [], {one["id"]: one["created_at"] for one in made})  # fmt: skip
        asking = Asking(about, History(story.records), self.now)
        found: list[Question] = [(ask.path, ask.body) for ask in asks(asking, noise)]
        found = [one for one in found if "tracking/stats" not in one[0]]
        ids = await self.here.pool.fetch("SELECT id FROM message WHERE workspace = $1 ORDER BY id LIMIT 3", workspace)
        found += [(f"/v1/messages/{row['id']}/events", None) for row in ids]
        return found

    def of_small_tables(self, workspace: str) -> list[Question]:
        """Questions that, together, show all that seldom changes."""
        revenue = {"metrics": ["revenue", "conversions"], "dimensions": ["currency", "campaign"]}
        base = f"/api/v1/workspaces/{workspace}/analytics"
        return [
            ("/v1/workspace", None),
            ("/v1/campaigns", None),
            ("/api/v1/analytics?period=30d", None),
            (f"{base}/deliverability?timeRange=30d", None),
            ("/v1/query", {**revenue, "from": f"{TODAY - timedelta(days=60):%Y-%m-%d}"}),
        ]


class Life:
    """What may happen to a workspace, again and again."""

    def __init__(self, at: Kept, workspace: int, story: Story, noise: random.Random) -> None:
        self._at = at
        self._workspace = workspace
        self._rest = story.batches(noise)
        self._noise = noise
        self._made = 0
        self._provisional: list[int] = []

    def happenings(self) -> Sequence[Happening]:
        """Each as often as it is likely."""
        often = [self.flush] * 8 + [self.register] * 3 + [self.time] * 4 + [self.provisional] * 3
        rare = [self.sweep, self.rename, self.buy, self.threshold, self.address, self.setting, self.domain]
        return often + rare

    async def flush(self) -> None:
        if self._rest:
            await self._count(*self._rest.pop()[1])

    async def sweep(self) -> None:
        await self._noise.choice(self._at.sides).sweep()

    async def rename(self) -> None:
        name = self._noise.choice([None, f"Name {self._noise.random()}"])
        at = micros(self._at.now) + self._next()
        await self._count(CampaignChange(at, self._workspace, self._noise.choice(CAMPAIGNS[1:]), name, "paused"))

    async def register(self) -> None:
        one = registered(self._at.now, 1000 + self._next(), self._noise)
        sent = event(EventType.SENT, at=one.created, message=one.message)
        both: list[Record] = [one, sent]
        await self._count(*self._noise.sample(both, 2))

    async def provisional(self) -> None:
        """A webhook tells of mail that nobody has registered; or somebody registers such mail, and it is adopted."""
        if self._provisional and self._noise.random() < 0.6:
            n, at = self._provisional.pop(), micros(self._at.now - timedelta(days=3))
            name = f"late-{n}"
            await self._count(registration(n, created=at, at=at, provider="MAILGUN", provider_message=name))
            for _ in range(3):  # one waits until what began before the registration has ended
                await self._noise.choice(self._at.sides).adopt()
            return
        n, at = 5000 + self._next(), micros(self._at.now - timedelta(days=2))
        self._provisional.append(n)
        mail = Mail("src_0", f"{n:064x}", "reader.example", "n@shop.example", DOMAINS[0], "Late", "spring", "", [])
        for kind in (EventType.SENT, EventType.DELIVERED):
            await self._count(event(kind, None, at, mail=mail, provider="MAILGUN", provider_message=f"late-{n}"))

    async def buy(self) -> None:
        """A purchase is counted, and attributed."""
        name, at = f"evt_{self._next()}", micros(self._at.now - timedelta(days=self._noise.randrange(9)))
        contact, amount = f"{self._noise.randrange(3):064x}", f"{self._noise.randrange(99)}.50"
        await self._count(purchase(name, contact, at, amount))
        settings, named = self._at.at.settings, (self._workspace, name)
        dimensions = Dimensions(settings.series_limit, AggregatorMetrics(CollectorRegistry()))
        await attribute(self._at.sides[0].connection, dimensions, Horizon(settings.months()), [named], {named})

    async def threshold(self) -> None:
        query = (
            "INSERT INTO verdict_setting VALUES ($1, $2, 3, 500, 3, 2, 2)"
            " ON CONFLICT (workspace) DO UPDATE SET burst_clicks = $2"
        )
        await self._at.here.pool.execute(query, self._workspace, self._noise.randrange(2, 50))
        await self.flush()

    async def address(self) -> None:
        """A sending IP comes, is looked up, or goes."""
        pool, given = self._at.here.pool, (self._workspace, f"192.0.2.{self._noise.randrange(3)}")
        if self._noise.random() < 0.3:
            await pool.execute("DELETE FROM sending_ip WHERE workspace = $1 AND ip = $2", *given)
            return
        await pool.execute("INSERT INTO sending_ip (workspace, ip) VALUES ($1, $2) ON CONFLICT DO NOTHING", *given)
        query = "UPDATE sending_ip SET checked_at = $3, listed_in = $4 WHERE workspace = $1 AND ip = $2"
        await pool.execute(query, *given, self._at.now, self._noise.choice([[], ["zone.example"]]))

    async def setting(self) -> None:
        zone = self._noise.choice(["UTC", "Asia/Kathmandu", "America/New_York"])
        query = "UPDATE workspace SET timezone = $2, name = $3 WHERE number = $1"
        await self._at.here.pool.execute(query, self._workspace, zone, uuid.uuid4().hex)

    async def domain(self) -> None:
        await self._at.here.domain(self._workspace, f"{uuid.uuid4().hex}.example", uuid7.new())

    async def time(self) -> None:
        self._at.now += self._noise.choice(STEPS)

    async def _count(self, *found: Record) -> None:
        await self._at.count(self._workspace, self._noise, *found)

    def _next(self) -> int:
        self._made += 1
        return self._made


@asynccontextmanager
async def two_services(dsn: str, redis_url: str, version_seconds: float = 30.0) -> AsyncIterator[Kept]:
    registry = CollectorRegistry()
    async with (
        bench(dsn, redis_url) as at,
        workspaces(dsn) as here,
        sides(at, 2) as two,
        sealing.session() as session,
    ):
        made = Kept(at, here, two, session, registry, datetime.now(UTC))
        async with (
            query_service(
                here, redis_url, lambda: made.now, registry=registry, version_seconds=version_seconds
            ) as kept_url,
            query_service(here, redis_url, lambda: made.now, answer_cache=0) as plain_url,
        ):
            made.kept_url, made.plain_url = kept_url, plain_url
            yield made
