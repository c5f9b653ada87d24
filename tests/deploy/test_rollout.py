"""The overlay `small` runs: each container is a process in a network, a file system and a memory limit of its own.

Under load every workload is updated, alone and then all at once by pods that come up slowly, a node that all are on is
drained, first while Valkey is away, every pod is killed: every answered hit is counted once, and while nothing is
killed none is left unanswered and no connection is refused. The updates rotate the token keys, as docs/operating.md
says.
"""

import asyncio
import base64
import os
from collections.abc import Iterable, Iterator
from functools import partial

import pytest
import redis

from tests import missing
from tests.databases import on_database
from tests.deploy import network
from tests.deploy.cluster import Cluster
from tests.deploy.manifests import Manifests
from tests.deploy.pace import hurried
from tests.deploy.render import rendered, rendered_folder
from tests.deploy.traffic import Ledger
from tests.deploy.world import World, hits, make_database


@pytest.fixture(scope="module")
def net() -> Iterator[network.Network]:
    if os.geteuid() != 0:
        missing.lack("pods are made by root only")
    try:
        network.check()
    except network.Forbidden as why:
        missing.lack(f"namespaces are not allowed here: {why}")
    made = network.Network()
    yield made
    made.close()


@pytest.fixture(scope="module")
def world(
    net: network.Network, postgres_server: str, redis_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    if "host=" not in postgres_server or not redis_server.startswith("unix:"):
        missing.lack("the pods reach Postgres and Redis by their Unix sockets only")
    with redis.Redis.from_url(redis_server) as client:
        client.flushdb()
    folder = tmp_path_factory.mktemp("cluster")
    for parent in [folder, *folder.parents][:3]:
        parent.chmod(0o755)

    manifests = hurried(Manifests([*rendered("small").all(), *rendered_folder("admin").all()]))

    async def make() -> World:
        dsn = on_database(postgres_server, await make_database(postgres_server))
        return World(Cluster(net, folder, "postmeter", nodes=2), manifests, dsn, redis_server)

    made = net.run(make())
    try:
        net.run(made.start())
        yield made
    finally:
        net.run(made.cluster.close())


SLOW = 3
"""Hits of an update that a gateway may have answered itself, marked, because tracking-service took too long."""


async def check(world: World, ledger: Ledger, *, unanswered: bool = False) -> None:
    """Every answered hit once in the history and in the sums, and nothing that nobody sent."""
    row, history = await world.counted(ledger)
    print(f"\n{ledger}\n  counted by the API: {row}; events of containers: {world.cluster.events}")
    lost = ledger.answered - set(history)
    assert not lost, f"{len(lost)} of {len(ledger.answered)} answered hits were never counted"
    assert max(history.values()) == 1, "a hit was counted more than once"
    assert hits(row) == history.total()
    assert len(ledger.events_accepted) <= row["delivered"] <= len(ledger.events_sent)
    if not unanswered:
        assert not ledger.unanswered
        assert not ledger.refused
        # The gateway waits no longer than a reader would: on a slow machine that is too short at times.
        assert set(ledger.marked) <= {"no_answer"}
        assert ledger.marked.total() <= SLOW
        assert len(ledger.answered) <= hits(row) <= len(ledger.answered) + ledger.marked.total()
        assert row["delivered"] == len(ledger.events_accepted)
        assert not world.cluster.events


def restarted(manifests: Manifests, word: str, names: Iterable[str]) -> Manifests:
    """As `kubectl rollout restart` does it: another annotation of the template."""
    changed = manifests.copy()
    for doc in changed.of("Deployment", "StatefulSet"):
        if doc["metadata"]["name"] in names:
            doc["spec"]["template"]["metadata"].setdefault("annotations", {})["restartedAt"] = word
    return changed


def with_token_keys(manifests: Manifests, *keys: str) -> Manifests:
    """The ring of tracking and gateway; the first one signs."""
    changed = manifests.copy()
    for name in ("tracking", "gateway"):
        changed.get("Secret", name)["stringData"]["POSTMETER_TOKEN_KEYS"] = ",".join(keys)
    return changed


NEW = f"2:{base64.b64encode(os.urandom(32)).decode()}"
"""A token key that is not yet in the Secrets."""


def test_every_workload_is_updated_alone_under_load(net: network.Network, world: World) -> None:
    async def scenario() -> None:
        traffic = await world.traffic("alone")
        old = set(world.cluster.pods)
        await world.apply(with_token_keys(world.manifests, world.token_keys, NEW))
        for name in world.cluster.workloads:
            others = {pod for pod in world.cluster.pods if pod.group.name != name}
            await world.apply(restarted(world.manifests, "first", [name]))
            await world.cluster.settled()
            assert others < set(world.cluster.pods), "the others stay"
        assert not old & set(world.cluster.pods)
        await traffic.grown(50)
        await check(world, await traffic.stop())

    net.run(scenario())


def test_all_are_updated_at_once_by_pods_that_come_up_slowly(net: network.Network, world: World) -> None:
    async def scenario() -> None:
        traffic = await world.traffic("all")
        old = set(world.cluster.pods)
        await world.apply(with_token_keys(world.manifests, NEW, world.token_keys))
        world.cluster.slow = 2.0
        world.cluster.cordon("node-1")
        await world.apply(restarted(world.manifests, "second", world.cluster.workloads))
        await world.cluster.settled()
        world.cluster.slow = 0.0
        world.cluster.uncordon("node-1")
        assert not old & set(world.cluster.pods)
        await traffic.grown(50)
        await check(world, await traffic.stop())

    net.run(scenario())


def test_a_node_with_everything_on_it_is_drained_while_valkey_is_away(net: network.Network, world: World) -> None:
    async def scenario() -> None:
        traffic = await world.traffic("drain")
        world.valkey.stop()
        await traffic.grown(50)
        (spooling,) = (pod for pod in world.cluster.pods if pod.name == "tracking-0")
        on_it = [pod for pod in world.cluster.pods if pod.node == "node-0"]
        drained = asyncio.create_task(world.cluster.drain("node-0"))
        await world.cluster.until("the end of a pod with a spool", lambda: spooling.gone)
        await world.valkey.start()
        assert await drained == len(on_it)
        await world.cluster.settled()
        world.cluster.uncordon("node-0")
        await traffic.grown(50)
        await check(world, await traffic.stop())

    net.run(scenario())


def test_a_claim_that_a_scale_down_left_is_drained_by_the_job(net: network.Network, world: World) -> None:
    async def scenario() -> None:
        traffic = await world.traffic("left")
        world.valkey.stop()
        await traffic.grown(50)
        fewer = world.manifests.copy()
        fewer.get("StatefulSet", "tracking")["spec"]["replicas"] = 1
        (going,) = (pod for pod in world.cluster.pods if pod.name == "tracking-1")
        before = world.manifests
        await world.apply(fewer)
        await world.cluster.until("the end of the second pod", lambda: going.gone)
        claim = world.cluster.folder / "claims/data-tracking-1/spool"
        assert list(claim.glob("*/*.segment"))
        await world.valkey.start()
        (job,) = rendered_folder("drain").of("Job")
        (data,) = (one for one in job["spec"]["template"]["spec"]["volumes"] if "persistentVolumeClaim" in one)
        data["persistentVolumeClaim"]["claimName"] = "data-tracking-1"
        await world.cluster.run_job(job)
        assert list(claim.iterdir()) == []
        await traffic.grown(50)
        await check(world, await traffic.stop())
        await world.apply(before)
        await world.cluster.settled()

    net.run(scenario())


def has_events(world: World, number: int) -> bool:
    return len(world.cluster.events) >= number


def test_every_pod_is_killed_under_load(net: network.Network, world: World) -> None:
    async def scenario() -> None:
        traffic = await world.traffic("kills")
        rounds = max(workload.replicas for workload in world.cluster.workloads.values())
        killed = 0
        for number in range(rounds):
            for workload in world.cluster.workloads.values():
                for pod in workload.pods[number : number + 1]:
                    pod.kill()
                    killed += 1
            await world.cluster.until("the kills", partial(has_events, world, killed))
            await world.cluster.settled()
        await traffic.grown(50)
        await check(world, await traffic.stop(), unanswered=True)
        assert len(world.cluster.events) == killed, "more ended than was killed"

    net.run(scenario())
