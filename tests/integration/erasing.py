"""The job that works on erasures, of an aggregator that does nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from postmeter.aggregator.fold import moments
from postmeter.aggregator.metrics import ErasureMetrics
from postmeter.aggregator.store.memory import Memory
from postmeter.aggregator.upkeep.erasure.job import Erasures
from postmeter.shared.storage import postgres
from tests.aggregation import Bench


@asynccontextmanager
async def erasures(at: Bench) -> AsyncIterator[Erasures]:
    """The job, on a pool of its own for as long as the block takes."""
    pool = await postgres.connect(at.settings, "aggregator", 60, moments.prepare, moments.PLANS)
    yield Erasures(pool, at.client, Memory(100), ErasureMetrics(CollectorRegistry()))
    await pool.close()
