"""The periodic job that looks every sending IP up in the DNSBL zones: one at a time however many aggregators run.

When an IP is due is decided by the database's clock and kept with the IP, so a restart repeats nothing and a
new IP waits for no round (ADR 0016).
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from postmeter.aggregator import metrics
from postmeter.aggregator.settings import AggregatorSettings
from postmeter.aggregator.trouble_log import TroubleLog
from postmeter.aggregator.upkeep.blocklists.lookups import TRY_SECONDS
from postmeter.aggregator.upkeep.blocklists.rounds import Listing, Round
from postmeter.aggregator.upkeep.blocklists.zones import Address, Zone, zones
from postmeter.shared.process import logs
from postmeter.shared.process.nameservers import nameservers, resolver
from postmeter.shared.storage.postgres import Connection, Pool
from postmeter.shared.storage.sql import Queries

QUERIES = Queries("postmeter.aggregator.upkeep.blocklists", "queries.sql")
LOCK = 0x706F73746D646E73
POLL_SECONDS = 15.0
"""How long a new IP waits at most for its first look-up, while no round is on."""
CHUNK = 100
MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class DueIp:
    """An IP of a workspace that is to be looked up."""

    workspace: int
    ip: Address


async def run(
    pool: Pool,
    settings: AggregatorSettings,
    counters: metrics.AggregatorMetrics,
    stop: asyncio.Event,
    poll: float = POLL_SECONDS,
) -> None:
    """Look up what is due until `stop` is set. Returns at once if no zones are configured."""
    if not zones(settings.dnsbl_zones.reveal()):
        return
    job = Job(pool, settings, counters)
    trouble = TroubleLog()
    while not stop.is_set():
        try:
            await _unless_stopped(job, stop)
            trouble.over("sending IPs looked up after all")
        except Exception as error:
            trouble.failed("look-up of sending IPs put off", error)
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(stop.wait(), poll)


async def _unless_stopped(job: Job, stop: asyncio.Event) -> None:
    """Do a round, or the part of it that is done when `stop` is set: the rest stays due."""
    work, stopped = asyncio.create_task(job.once()), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((work, stopped), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        work.cancel()
        await asyncio.wait((work, stopped))
    if not work.cancelled():
        work.result()


class Job:
    """Rounds of look-ups; remembers what it said about each zone, to say it once."""

    def __init__(self, pool: Pool, settings: AggregatorSettings, counters: metrics.AggregatorMetrics) -> None:
        self._pool = pool
        self._zones = zones(settings.dnsbl_zones.reveal())
        self._nameservers = nameservers(settings.dnsbl_nameservers)
        self._interval = settings.dnsbl_interval
        self._counters = counters
        self._said: dict[tuple[Zone, int], str] = {}

    async def once(self) -> int:
        """Look up all that is due now, unless another aggregator is at it. Returns how many IPs that were."""
        looked_up = 0
        async with self._pool.acquire() as connection:
            if await connection.fetchval(QUERIES["try_lock"], LOCK):
                try:
                    looked_up = await self._round(connection)
                finally:
                    await connection.execute(QUERIES["unlock"], LOCK)
            totals = await connection.fetchrow(QUERIES["totals"])
        assert totals is not None
        self._counters.dnsbl_listed.set(totals["listed"])
        self._counters.dnsbl_checked_at.set((totals["checked_at"] or 0) / MICROSECONDS)
        return looked_up

    async def _round(self, connection: Connection) -> int:
        """The lock's own connection also stores: whoever has lost the lock can store nothing."""
        begun = time.monotonic()
        as_of = await connection.fetchval(QUERIES["now"])
        due = await self._due(connection, as_of)
        if not due:
            return 0
        # The system's nameservers are read anew each time: they may have changed.
        current = Round(resolver(self._nameservers, "POSTMETER_DNSBL_NAMESERVERS", TRY_SECONDS), self._zones)
        looked_up = 0
        try:
            while due:
                answers = await current.look_up(item.ip for item in due)
                await self._store(connection, due, answers)
                looked_up += len(due)
                due = await self._due(connection, as_of)
        finally:
            self._conclude(current)
        self._counters.dnsbl_round_seconds.set(time.monotonic() - begun)
        return looked_up

    async def _due(self, connection: Connection, as_of: Any) -> list[DueIp]:
        rows = await connection.fetch(QUERIES["due"], as_of, self._interval, CHUNK)
        return [DueIp(row["workspace"], row["ip"]) for row in rows]

    async def _store(self, connection: Connection, due: list[DueIp], answers: list[Listing]) -> None:
        await connection.execute(
            QUERIES["store"],
            [item.workspace for item in due],
            [item.ip for item in due],
            [zone.shown for zone in self._zones],
            [answer.address for answer in answers],
            [answer.zone.shown for answer in answers],
            [answer.listed for answer in answers],
        )

    def _conclude(self, done: Round) -> None:
        """Count the results; log each zone's trouble when it begins, changes and ends."""
        self._counters.dnsbl_lookups.labels("skipped").inc(done.skipped)
        for (zone, version), standing in done.standings.items():
            for result, times in standing.results.items():
                self._counters.dnsbl_lookups.labels(result.value).inc(times)
            said = standing.said()
            self._counters.dnsbl_zone_up.labels(zone.shown, str(version)).set(not said)
            if said == self._said.get((zone, version), ""):
                continue
            self._said[zone, version] = said
            if said:
                logs.get().warning("DNSBL zone in trouble", zone=zone.shown, ip_version=version, reason=said)
            else:
                logs.get().info("DNSBL zone works again", zone=zone.shown, ip_version=version)
