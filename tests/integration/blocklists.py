"""What the tests of blocklists share: a database with sending IPs, a DNS server, and jobs as each replica runs one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from prometheus_client import CollectorRegistry

from postmeter.aggregator.fold import moments
from postmeter.aggregator.metrics import AggregatorMetrics
from postmeter.aggregator.settings import AggregatorSettings
from postmeter.aggregator.upkeep.blocklists.job import Job
from postmeter.shared.auth.secret import Secret
from postmeter.shared.storage import postgres
from postmeter.shared.storage.postgres import Pool
from tests.aggregation import Bench, bench
from tests.dns_server import DnsServer, dns_server

ONE, TWO, SIX = "9.1.2.3", "9.1.2.4", "2a00:1450::8a"
ONE_REVERSED, TWO_REVERSED = "3.2.1.9", "4.2.1.9"
SIX_REVERSED = "a.8" + ".0" * 22 + ".0.5.4.1.0.0.a.2"
GOOD, OTHER = "bl.example.net", "dnsbl.example.org"


class BlocklistJobs:
    """An aggregator's database, a DNS server, and jobs as each replica runs one."""

    def __init__(self, at: Bench, dns: DnsServer, pool: Pool) -> None:
        self.db = at.db
        self.dns = dns
        self.pool = pool
        self.settings = replace(at.settings, dnsbl_nameservers=f"127.0.0.1:{dns.port}")
        self.registry = CollectorRegistry()
        self.counters = AggregatorMetrics(self.registry)

    def configured(self, *zones: str, **changes: Any) -> AggregatorSettings:
        return replace(self.settings, dnsbl_zones=Secret(",".join(zones)), **changes)

    def job(self, *zones: str) -> Job:
        return Job(self.pool, self.configured(*zones), self.counters)

    async def add(self, *ips: str, workspace: int = 1) -> None:
        for ip in ips:
            await self.db.execute("INSERT INTO sending_ip (workspace, ip) VALUES ($1, $2)", workspace, ip_address(ip))

    async def make_due(self) -> None:
        await self.db.execute("UPDATE sending_ip SET attempted_at = attempted_at - interval '1 hour'")

    async def listings(self) -> dict[str, list[str]]:
        rows = await self.db.fetch("SELECT ip, listed_in FROM sending_ip ORDER BY workspace, ip")
        return {str(row["ip"]): row["listed_in"] for row in rows}

    async def checked(self) -> set[str]:
        rows = await self.db.fetch("SELECT ip FROM sending_ip WHERE checked_at IS NOT NULL")
        return {str(row["ip"]) for row in rows}

    def lookups(self) -> dict[str, float]:
        name = "postmeter_dnsbl_lookups_total"
        return {
            sample.labels["result"]: sample.value
            for metric in self.registry.collect()
            for sample in metric.samples
            if sample.name == name and sample.value
        }

    def up(self, zone: str, version: int = 4) -> float | None:
        labels = {"zone": zone, "ip_version": str(version)}
        return self.registry.get_sample_value("postmeter_dnsbl_zone_up", labels)


@asynccontextmanager
async def pool_of(settings: AggregatorSettings) -> AsyncIterator[Pool]:
    pool = await postgres.connect(settings, "aggregator", 20.0, moments.prepare, moments.PLANS)
    try:
        yield pool
    finally:
        await pool.close()


@asynccontextmanager
async def looking_up(dsn: str, redis_url: str) -> AsyncIterator[BlocklistJobs]:
    async with bench(dsn, redis_url) as at, dns_server() as dns, pool_of(at.settings) as pool:
        yield BlocklistJobs(at, dns, pool)
