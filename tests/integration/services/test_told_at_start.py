"""What an operator gets wrong first is told: other secrets than before, stores that do not keep (ADR 0037)."""

import asyncio
import base64
import json
import time
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
import redis
import redis.asyncio
from click.testing import CliRunner, Result

from postmeter.cli.local.servers.redis_server import RedisServer
from postmeter.cli.main import main
from postmeter.gateway import service as gateway
from postmeter.gateway.keys import pepper
from postmeter.shared.auth import fingerprints
from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import SettingsError
from postmeter.shared.links.tokens import KeyRing, verifiable
from postmeter.shared.storage import stores
from postmeter.shared.stream import streams
from postmeter.tracking.durable.uncounted import WAITING_SECONDS, uncounted
from postmeter.tracking.webhooks.sources import registry
from tests.integration.every_port import every_port
from tests.integration.running_gateway import client, gateway_settings
from tests.integration.tracking_service import KEY, OLD_KEY, Service, new_message, open_target
from tests.product import PATIENCE, reachable, wait_for
from tests.roles import of_service

PEPPER, ANOTHER = "a pepper", "another pepper"
WRONG = "POSTMETER_KEY_PEPPER is not the one under which this database's API keys are stored"
Command = Callable[..., Result]


async def with_gateway(dsn: str, own_pepper: str, work: Callable[[int], Awaitable[None]] | None = None) -> None:
    """Start a gateway, do something with its port, stop it; raises what it has ended with."""
    settings, stop = gateway_settings(dsn, own_pepper), asyncio.Event()
    running = asyncio.create_task(gateway.serve(settings, stop))
    await reachable(settings.port, running)
    try:
        if work is not None:
            await work(settings.port)
    finally:
        stop.set()
        await running


@pytest.fixture
def command(postgres_dsn: str) -> Command:
    def run(*arguments: str, under: str = PEPPER) -> Result:
        environ = {"POSTMETER_POSTGRES_DSN": postgres_dsn, "POSTMETER_KEY_PEPPER": under}
        return CliRunner().invoke(main, arguments, env=environ)

    assert run("workspace", "create", "shop", "--name", "Shop").exit_code == 0
    return run


KEY_WORDS = ("key", "create", "--workspace", "shop", "--role", "admin", "--scope", "analytics")


def kept(command: Command) -> list[str]:
    listed = command("secret", "list").output.splitlines()
    assert listed[0] == "name\tfingerprint\tsince"
    return [line.split("\t")[0] for line in listed[1:]]


async def in_thread(command: Command, *words: str, under: str = PEPPER) -> Result:
    return await asyncio.to_thread(lambda: command(*words, under=under))


async def test_a_changed_pepper_is_refused_until_it_is_meant(postgres_dsn: str, command: Command) -> None:
    await with_gateway(postgres_dsn, PEPPER)
    assert await asyncio.to_thread(kept, command) == ["key-pepper"]
    with pytest.raises(SettingsError) as refused:
        await with_gateway(postgres_dsn, ANOTHER)
    assert str(refused.value).startswith(WRONG)
    assert "Put the old one back" in str(refused.value)
    assert "`postmeter secret forget key-pepper`" in str(refused.value)
    made = await in_thread(command, *KEY_WORDS, under=ANOTHER)
    assert (made.exit_code, WRONG in made.output) == (1, True)
    assert (await in_thread(command, *KEY_WORDS)).exit_code == 0
    assert (await in_thread(command, "secret", "forget", "key-pepper")).output.startswith("key-pepper is forgotten")
    again = await in_thread(command, "secret", "forget", "key-pepper")
    assert (again.exit_code, "`postmeter secret list` shows all" in again.output) == (1, True)
    await with_gateway(postgres_dsn, ANOTHER)


async def test_keys_that_were_there_before_prove_the_pepper(postgres_dsn: str, command: Command) -> None:
    """As after an update: nothing is kept until a key has been verified, for at that moment it may be the wrong one."""
    key = (await in_thread(command, *KEY_WORDS)).output.strip()
    await in_thread(command, "secret", "forget", "key-pepper")

    async def asks(port: int) -> None:
        async with client() as session:
            headers = {"Authorization": f"Bearer {key}"}
            async with session.get(f"http://127.0.0.1:{port}/v1/campaigns", headers=headers) as answer:
                statuses.append(answer.status)
        if answer.status != 401:
            await asyncio.to_thread(wait_for, "the fingerprint", lambda: kept(command))

    statuses: list[int] = []
    await with_gateway(postgres_dsn, ANOTHER, asks)
    assert statuses == [401]
    assert await asyncio.to_thread(kept, command) == []
    await with_gateway(postgres_dsn, PEPPER, asks)
    assert await asyncio.to_thread(kept, command) == ["key-pepper"]
    with pytest.raises(SettingsError, match="Put the old one back"):
        await with_gateway(postgres_dsn, ANOTHER)


async def test_what_postgres_tells_late_ends_a_gateway_late(postgres_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pepper, "RETRY_SECONDS", 0.05)
    connection = await asyncpg.connect(postgres_dsn)
    await fingerprints.keep(connection, fingerprints.KEY_PEPPER, bytes(16))
    await connection.execute("ALTER TABLE fingerprint RENAME TO not_there_yet")
    settings, stop = gateway_settings(postgres_dsn, PEPPER), asyncio.Event()
    running = asyncio.create_task(gateway.serve(settings, stop))
    await reachable(settings.port, running)
    await connection.execute("ALTER TABLE not_there_yet RENAME TO fingerprint")
    await connection.close()
    with pytest.raises(SettingsError, match=WRONG):
        await asyncio.wait_for(running, PATIENCE)


async def test_links_that_no_key_verifies_any_more_are_told(postgres_dsn: str) -> None:
    pool = await asyncpg.create_pool(of_service(postgres_dsn, "tracking"), min_size=0, max_size=2)
    first, second, other = KeyRing({1: KEY}), KeyRing({2: OLD_KEY, 1: KEY}), KeyRing({2: OLD_KEY, 1: b"x" * 32})
    try:
        assert await verifiable(pool, second, signs=False) is None
        assert sorted(await fingerprints.kept(pool)) == []
        for ring in (first, second):
            assert await verifiable(pool, ring, signs=True) is None
        assert sorted(await fingerprints.kept(pool)) == ["token-key-1", "token-key-2"]
        for ring in (KeyRing({2: OLD_KEY}), other):
            said = await verifiable(pool, ring, signs=True)
            assert said is not None
            assert f"token-key-1 ({first.fingerprints['token-key-1'].hex()[:8]}, since 20" in said
            assert "token-key-2" not in said
            assert "Put each back, behind the first key" in said
        assert await verifiable(pool, second, signs=False) is None
    finally:
        await pool.close()


def ahead(seconds: float) -> Callable[[], float]:
    """A clock."""
    return lambda: time.time() + seconds


async def test_clocks_that_are_apart_are_told(postgres_dsn: str) -> None:
    pool = await asyncpg.create_pool(of_service(postgres_dsn, "query"), min_size=0, max_size=1)
    try:
        said = {by: await stores.clocks(pool, ahead(by)) for by in (-60, 0, 60)}
    finally:
        await pool.close()
    assert said[0] is None
    assert str(said[60]).startswith("the clock of this service is 60 seconds ahead of that of Postgres")
    assert str(said[-60]).startswith("the clock of this service is 60 seconds behind that of Postgres")


async def test_another_source_key_is_told(postgres_dsn: str, command: Command) -> None:
    pool = await asyncpg.create_pool(of_service(postgres_dsn, "tracking"), min_size=0, max_size=1)
    try:
        assert await registry.opens(pool, Secret(ANOTHER)) is None
        async with pool.acquire() as connection:
            await registry.create(
                connection, Secret("source key"), "shop", "mailgun", secret=Secret("s" * 20), options={}
            )
        assert await registry.opens(pool, Secret("source key")) is None
        said = await registry.opens(pool, Secret(ANOTHER))
    finally:
        await pool.close()
    assert said is not None
    assert said.startswith("POSTMETER_SOURCE_KEY is not the one")


def warnings(service: Service) -> dict[str, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{service.ops_port}/readyz", timeout=60) as answer:
        found: dict[str, str] = json.load(answer)["warnings"]
        return found


def test_a_service_warns_in_its_readiness_its_log_and_its_metrics(
    server: RedisServer, postgres_dsn: str, tmp_path: Path
) -> None:
    ring = [f"{number}:{base64.b64encode(key).decode()}" for number, key in ((1, KEY), (0, OLD_KEY))]
    dsn = of_service(postgres_dsn, "tracking")
    before = Service(server.url, tmp_path / "spool", postgres_dsn=dsn)

    def is_kept() -> bool:
        result = CliRunner().invoke(main, ["secret", "list"], env={"POSTMETER_POSTGRES_DSN": postgres_dsn})
        return "token-key-1" in result.output

    wait_for("the first key", is_kept)
    assert warnings(before) == {}
    assert before.terminate() == 0
    with redis.Redis.from_url(server.url) as direct:
        direct.config_set("maxmemory-policy", "allkeys-lru")
        direct.config_set("appendonly", "no")
    service = Service(server.url, tmp_path / "spool", postgres_dsn=dsn, token_keys=ring[1], trusted_hops=0)
    try:
        assert service.get(open_target(new_message()), "X-Forwarded-For: 198.51.100.7").status == 200
        wait_for("warnings", lambda: set(warnings(service)) == {"redis", "token_keys", "trusted_hops"})
        said = warnings(service)
        assert "its maxmemory-policy is allkeys-lru: when memory is full it deletes streams" in said["redis"]
        assert "its append-only file is off" in said["redis"]
        assert "token-key-1" in said["token_keys"]
        assert "POSTMETER_TRUSTED_HOPS is 0" in said["trusted_hops"]
        logged = {line["event"] for line in map(json.loads, service.log.read_text().splitlines())}
        assert logged >= set(said.values())
        assert [service.metric("postmeter_warning", f'{{warning="{one}"}}') for one in (*said, "clock")] == [1, 1, 1, 0]
        assert service.metric("postmeter_forwarded_doubts_total", '{kind="untrusted"}') == 1
    finally:
        assert service.terminate() == 0


async def test_entries_that_nobody_counts_are_told_of(redis_url: str) -> None:
    """As where aggregators have another database of Redis than tracking-service: each is well, and no number moves."""
    async with redis.asyncio.Redis.from_url(redis_url) as direct:
        assert await uncounted(direct, 4) is None
        await direct.xadd(streams.stream(1), {"r": b""})
        assert await uncounted(direct, 4) is None
        seconds, _ = await direct.time()
        await direct.xadd(streams.stream(2), {"r": b""}, id=f"{(seconds - WAITING_SECONDS - 1) * 1000}-0")
        said = await uncounted(direct, 4)
    assert said is not None
    assert "nobody counts what is in shard 2" in said


async def test_every_service_looks_at_what_concerns_it(
    postgres_dsn: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "MOST_APART", -1.0)
    with redis.Redis.from_url(redis_url) as direct:
        before = direct.config_get("maxmemory-policy")["maxmemory-policy"]
        direct.config_set("maxmemory-policy", "allkeys-lru")
        try:
            async with every_port(postgres_dsn, redis_url, tmp_path) as (ports, _), client() as session:
                at = {port.name: port.number for port in ports}
                headers = {"X-Forwarded-For": "198.51.100.7"}
                async with session.get(f"http://127.0.0.1:{at['gateway']}/api/v1/track/open/x", headers=headers):
                    pass

                async def warned(name: str, expected: set[str]) -> None:
                    said: set[str] = set()
                    while said != expected:
                        async with session.get(f"http://127.0.0.1:{at[name]}/readyz") as answer:
                            said = set((await answer.json())["warnings"])

                async with asyncio.timeout(PATIENCE):
                    await warned("gateway's ops port", {"clock", "trusted_hops"})
                    await warned("query's ops port", {"clock"})
                    await warned("aggregator's ops port", {"clock", "redis"})
        finally:
            direct.config_set("maxmemory-policy", before)
