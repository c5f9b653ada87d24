"""The manifests run: each container is a process in a network, a file system and a memory limit of its own.

Under load every workload is updated, every pod is killed, a node is drained, a pod comes up slowly: every answered
hit is counted once, and while nothing is killed none is left unanswered.
"""

import os
from collections.abc import Iterator

import pytest
import redis

from tests import missing
from tests.conftest import on_database
from tests.deploy import network, sample
from tests.deploy.cluster import Cluster
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

    async def make() -> World:
        dsn = on_database(postgres_server, await make_database(postgres_server))
        return World(Cluster(net, folder, "postmeter", nodes=2), sample.manifests(), dsn, redis_server)

    made = net.run(make())
    try:
        net.run(made.start())
        yield made
    finally:
        net.run(made.cluster.close())


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
        assert not ledger.marked
        assert hits(row) == len(ledger.answered)
        assert row["delivered"] == len(ledger.events_accepted)
        assert not world.cluster.events


def test_every_workload_is_updated_under_load(net: network.Network, world: World) -> None:
    async def scenario() -> None:
        traffic = await world.traffic("update")
        old = set(world.cluster.pods)
        changed = world.manifests.copy()
        for doc in changed.of("Deployment", "StatefulSet"):
            for container in doc["spec"]["template"]["spec"]["containers"]:
                container.setdefault("env", []).append({"name": "ROLLOUT", "value": "second"})
        await world.apply(changed)
        await world.cluster.settled()
        assert not old & set(world.cluster.pods)
        await traffic.grown(50)
        await check(world, await traffic.stop())

    net.run(scenario())


def test_a_node_is_drained_under_load(net: network.Network, world: World) -> None:
    async def scenario() -> None:
        traffic = await world.traffic("drain")
        evicted = await world.cluster.drain("node-0")
        assert evicted >= len(world.cluster.workloads)
        await world.cluster.settled()
        world.cluster.uncordon("node-0")
        await traffic.grown(50)
        await check(world, await traffic.stop())

    net.run(scenario())


def test_pods_that_come_up_slowly_get_nothing_before_they_are_ready(net: network.Network, world: World) -> None:
    async def scenario() -> None:
        traffic = await world.traffic("slow")
        changed = world.manifests.copy()
        for doc in changed.of("Deployment", "StatefulSet"):
            if doc["metadata"]["name"] in ("gateway", "tracking"):
                doc["spec"]["replicas"] = world.manifests.replicas(doc) + 1
                for scaler in changed.of("HorizontalPodAutoscaler"):
                    if scaler["spec"]["scaleTargetRef"]["name"] == doc["metadata"]["name"]:
                        scaler["spec"]["minReplicas"] = doc["spec"]["replicas"]
        world.cluster.slow = 6.0
        await world.apply(changed)
        await world.cluster.settled()
        world.cluster.slow = 0.0
        await traffic.grown(50)
        await check(world, await traffic.stop())

    net.run(scenario())


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
            await world.cluster.until("the kills", lambda k=killed: len(world.cluster.events) >= k)
            await world.cluster.settled()
        await traffic.grown(50)
        await check(world, await traffic.stop(), unanswered=True)
        assert len(world.cluster.events) == killed, "more ended than was killed"

    net.run(scenario())
