"""One seed from beginning to end."""

from __future__ import annotations

import contextlib
import functools
import logging
import random
import shutil
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import structlog
from prometheus_client import CollectorRegistry
from redis import utils

from postmeter.aggregator import held, metrics
from postmeter.aggregator.metrics import AggregatorMetrics
from postmeter.aggregator.stream import reader
from postmeter.tracking.durable import drainer, shard_count
from tests.simulation.invariants import Broken
from tests.simulation.loop import Circle
from tests.simulation.outside import sealed
from tests.simulation.scenario import Plan, Scenario
from tests.simulation.world import World


@dataclass(frozen=True)
class Outcome:
    """failure: empty where all held. digest: of all that happened; the same seed has the same."""

    seed: int
    plan: Plan
    failure: str
    digest: str
    steps: int
    seconds: float
    counted: int
    lines: list[str]


@contextlib.contextmanager
def quick() -> Iterator[None]:
    """What takes the product minutes takes a world seconds, and what each start reads or makes anew is made once."""
    unsaid = AggregatorMetrics(CollectorRegistry())
    with (
        patch.object(metrics, "AggregatorMetrics", lambda _: unsaid),
        patch.object(reader, "TRIM_MARGIN_MS", 500),
        patch.object(held, "TRIM_SECONDS", 1.0),
        patch.object(drainer, "ADOPT_EVERY", 3.0),
        patch.object(shard_count, "LOOK_SECONDS", 0.4),
        patch.object(utils, "get_lib_version", functools.cache(utils.get_lib_version)),
    ):
        yield


def run(seed: int, *, show: bool = False, logs: bool = False) -> Outcome:
    """Play a seed. Nothing of it reaches the machine but files in a folder that is gone afterwards."""
    _quiet(logs)
    chance = random.Random(seed)
    plan = Plan.drawn(chance)
    folder = Path(tempfile.mkdtemp(prefix="pmsim-", dir=_memory()))
    try:
        world = World(chance, folder, loses=plan.loses, shards=plan.shards + plan.disagree, show=show)
        failure = _played(world, plan)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Outcome(
        seed,
        plan,
        failure,
        world.trace.digest,
        world.loop.steps,
        world.loop.now - 1000.0,
        len(world.postgres.store.rows("event")),
        world.trace.lines,
    )


def _played(world: World, plan: Plan) -> str:
    scenario = Scenario(world, plan)
    with sealed(world.clock, world.chance), world.disk.mounted():
        try:
            world.loop.run(scenario.play())
            for error in world.loop.errors:
                world.ledger.problem(f"{error.get('message')}: {error.get('exception')!r}")
            world.ledger.check(world.postgres.store, world.redis)
        except Broken as broken:
            return str(broken)
        except (Circle, TimeoutError) as error:
            told = "; ".join(world.ledger.problems)
            return f"{type(error).__name__}: {error}; it waits for {scenario.waits_for}. {told}"
        except Exception:
            return traceback.format_exc()
        finally:
            _dispose(world)
            world.disk.close_rest()
    return ""


def _dispose(world: World) -> None:
    """End what was killed in mid-air, so that nothing of it runs when the next world does."""
    for task in [task for task in world.loop.tasks if not task.done()]:
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # how asyncio itself keeps silent
        with contextlib.suppress(BaseException):
            task.get_coro().close()
    world.loop.tasks.clear()
    world.loop._due.clear()
    world.loop._ready.clear()


def _quiet(logs: bool) -> None:
    logging.disable(logging.NOTSET if logs else logging.CRITICAL)
    level = logging.DEBUG if logs else logging.CRITICAL
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(level), cache_logger_on_first_use=False)


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
