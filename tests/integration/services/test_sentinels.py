"""The master of Redis dies, and a replica takes over: with POSTMETER_WAIT_REPLICAS no answered hit is lost."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote_plus

import pytest
import redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ReadOnlyError

from postmeter.cli.local.servers.redis_server import RedisServer
from postmeter.gateway.limits import limits
from postmeter.shared.auth.secret import Secret
from postmeter.shared.stream import redis_clients, streams
from postmeter.tracking.durable import appender as appender_module
from postmeter.tracking.durable.appender import Appender, TooFewReplicas
from postmeter.tracking.durable.segment import Spooled
from tests.aggregation import bench, message, registration
from tests.integration.certificates import Authority
from tests.integration.sentinels import PASSWORD, Sentinels, sentinels
from tests.integration.tracking_service import (
    SHARDS,
    WORKSPACE,
    Service,
    batches,
    empty,
    hits_of,
    new_message,
    open_target,
)
from tests.integration.visitors import Visitors
from tests.product import PATIENCE, wait_for


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sentinels]:
    """Of all tests here: each leaves a master with a replica."""
    with sentinels(tmp_path_factory.mktemp("redis")) as made:
        yield made


@pytest.fixture
def service(servers: Sentinels, tmp_path: Path) -> Iterator[Service]:
    running = Service(servers.url, tmp_path / "spool", wait_replicas=1)
    yield running
    running.kill()


async def test_the_master_is_killed_and_every_answered_hit_is_counted_once(
    servers: Sentinels, service: Service, postgres_dsn: str
) -> None:
    old, new = servers.roles()
    gateway = limits.client(Secret(servers.url), PATIENCE)
    await asyncio.gather(*(gateway.ping() for _ in range(2 * limits.CONNECTIONS)))
    async with bench(postgres_dsn, servers.url) as at:
        await at.streams.append(0, registration(1, workspace=WORKSPACE))
        async with at.aggregator(shards=SHARDS):
            visitors = Visitors(service, message(1), 1)
            visitors.more(100)
            servers.cut(new)  # what the master gets now, and the aggregator counts of it, is on no replica
            visitors.more(20)
            servers.kill(old)
            visitors.more(100)
            wait_for("another master", lambda: servers.master() == new)
            answered = visitors.end()
            assert (await gateway.role())[0] == b"master"
            servers.mend(new)
            # Before this one it has no replica, so that all is spooled.
            servers.start(old, new)
            wait_for("a drained spool", lambda: empty(service.spool))
            direct = service.metric("postmeter_batches_total", '{place="stream"}')
            service.get(open_target(message(1)))
            assert service.metric("postmeter_batches_total", '{place="stream"}') == direct + 1
            await at.client.connection_pool.disconnect()  # of the test itself, from the master that is gone
            await at.counted()
        assert (await at.total())["human_opens"] == answered + 1
    await gateway.aclose()


def test_a_replica_that_is_silent_has_hits_spooled_and_says_so(servers: Sentinels, service: Service) -> None:
    master, replica = servers.roles()
    opened = new_message()
    visitors = Visitors(service, opened, 1)
    visitors.more(100)
    servers.pause(replica)
    visitors.more(100)
    wait_for("a warning", lambda: "POSTMETER_WAIT_REPLICAS is 1" in service.warnings().get("replicas", ""))
    assert service.metric("postmeter_unreplicated_batches_total") > 0
    answered = visitors.end()
    assert len(hits_of(servers.url_of(master), opened)) < answered
    servers.go_on(replica)
    wait_for("a drained spool", lambda: empty(service.spool))
    assert "replicas" not in service.warnings()
    assert len(hits_of(servers.url_of(master), opened)) == answered


async def test_what_was_appended_in_vain_is_asked_for_and_not_appended_again(servers: Sentinels) -> None:
    """Once a second as long as a replica is away would fill Redis."""
    _, replica = servers.roles()
    appender = Appender(Secret(servers.url), 60.0, 1)
    await appender.ping()
    servers.pause(replica)
    appender._wait = appender_module._wait(1, 0.1)
    for work in (appender.append([Spooled(0, b"me-2", b"\x90")]), appender.ping()):
        with pytest.raises(TooFewReplicas, match="0 replicas of Redis acknowledge; POSTMETER_WAIT_REPLICAS is 1"):
            await work
    servers.go_on(replica)
    appender._wait = appender_module._wait(1, 60.0)
    await appender.ping()
    await appender.close()


async def test_a_connection_to_what_has_become_a_replica_is_made_anew(server: RedisServer) -> None:
    appender, batch = Appender(Secret(server.url), 60.0), Spooled(0, b"me-1", b"\x90")
    waiting = Appender(Secret(server.url), 60.0, 1)
    with redis.Redis.from_url(server.url) as client:
        await appender.append([batch])
        client.replicaof("127.0.0.1", "1")
        connected = client.info()["total_connections_received"]
        with pytest.raises(ReadOnlyError):
            await appender.append([batch])
        assert client.info()["total_connections_received"] == connected + 1
        with pytest.raises(ReadOnlyError):
            await waiting.append([batch])
        client.replicaof("NO", "ONE")
        await appender.append([batch])
    await appender.close()
    await waiting.close()
    assert len(batches(server.url)) == 2


def test_a_command_finds_the_master_by_its_sentinels(servers: Sentinels) -> None:
    with redis_clients.blocking(Secret(servers.url), socket_timeout=5.0) as client:
        assert client.role()[0] == b"master"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Sentinels]:
    """Servers that speak TLS, and want a client's certificate."""
    with sentinels(tmp_path_factory.mktemp("redis-tls"), authority) as made:
        yield made


async def test_sentinels_master_and_replica_are_spoken_to_by_tls(tls: Sentinels) -> None:
    appender = Appender(Secret(tls.url), 60.0, 1)
    await appender.append([Spooled(0, b"me-3", b"\x90")])
    await appender.close()
    async with limits.client(Secret(tls.url), PATIENCE) as client:
        role, _, replicas = await client.role()
        assert (role, len(replicas)) == (b"master", 1)
        assert await client.xlen(streams.stream(0)) == 1
    with redis_clients.blocking(Secret(tls.url), socket_timeout=5.0) as blocking:
        assert blocking.role()[0] == b"master"


async def test_what_is_wrong_with_certificates_is_said(tls: Sentinels, authority: Authority, tmp_path: Path) -> None:
    """A wrong authority, none, no certificate of one's own, another name: whose and what, and no other settings."""
    theirs = Authority(tmp_path / "theirs").certificate
    for url, why in (
        (tls.url.replace(quote_plus(str(authority.certificate)), quote_plus(str(theirs))), "certificate verify failed"),
        (tls.url.partition("&ssl_ca_certs")[0], "certificate verify failed: self-signed certificate in"),
        (tls.url.partition("&ssl_certfile")[0], f"127.0.0.1:{tls.sentinel}: Error"),
        (tls.url.replace("127.0.0.1:", "localhost:"), "Hostname mismatch, certificate is not valid for 'localhost'"),
        (tls.url.replace("rediss+", "redis+").partition("&ssl")[0], f"127.0.0.1:{tls.sentinel}: Error"),
    ):
        for said in (await _refused(url), _blocking_refused(url)):
            assert said.startswith("no Sentinel names a master of 'hits': ")
            assert f"127.0.0.1:{tls.nobody}: Error 111" in said.replace("localhost", "127.0.0.1")
            assert why in said
            assert PASSWORD not in said


async def test_a_certificate_that_is_not_for_what_sentinel_calls_the_master(
    tls: Sentinels, authority: Authority
) -> None:
    """It says addresses, unless it resolves names."""
    master, _ = tls.roles()
    with redis.Redis.from_url(tls.url_of(master)) as client:
        for host, wrong in (("localhost", True), ("127.0.0.1", False)):
            of = authority.vouch(host)
            client.config_set("tls-cert-file", str(of.certificate), "tls-key-file", str(of.key))
            if wrong:
                for said in (await _refused(tls.url), _blocking_refused(tls.url)):
                    assert f"connecting to 127.0.0.1:{master}. " in said
                    assert "IP address mismatch, certificate is not valid for '127.0.0.1'" in said


async def _refused(url: str) -> str:
    async with redis_clients.client(Secret(url), socket_timeout=5.0, retry=Retry(NoBackoff(), 0)) as client:
        with pytest.raises(redis.ConnectionError) as caught:
            await client.role()
    return str(caught.value)


def _blocking_refused(url: str) -> str:
    with (
        redis_clients.blocking(Secret(url), socket_timeout=5.0) as client,
        pytest.raises(redis.ConnectionError) as caught,
    ):
        client.role()
    return str(caught.value)
