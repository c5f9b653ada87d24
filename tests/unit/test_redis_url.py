"""What POSTMETER_REDIS_URL takes beside one server, and what is wrong with it in words that tell no secret."""

import asyncio
from typing import Any

import pytest
import redis
from redis.asyncio import Redis
from redis.asyncio.sentinel import SentinelManagedSSLConnection

from postmeter.shared.auth.secret import Secret
from postmeter.shared.process.redis_url import SentinelUrl
from postmeter.shared.process.setting_types import RedisUrl, read
from postmeter.shared.stream import redis_clients

PASSWORD = "hunter2"
CA = __file__
"""A file that can be read."""
FULL = f"rediss+sentinel://app:{PASSWORD}%40@[::1]:1,s.example:65535/hits?db=3&sentinel_password={PASSWORD}&ssl_ca_certs={CA}"


def test_what_it_says_of_the_master_and_of_the_sentinels() -> None:
    said = SentinelUrl.parse(Secret(FULL))
    assert (said.sentinels, said.service, said.is_tls) == ([("::1", 1), ("s.example", 65535)], "hits", True)
    assert said.master == {"db": 3, "username": "app", "password": f"{PASSWORD}@", "ssl_ca_certs": CA}
    assert said.sentinel == {"password": PASSWORD, "ssl_ca_certs": CA}
    assert PASSWORD not in repr(said)


@pytest.mark.parametrize(
    "url", ["redis+sentinel://h:26379/hits", "redis+sentinel://:p@h:1,h:2,[fe80::1]:3/a%20b", FULL]
)
def test_what_is_taken(url: str) -> None:
    assert read(url, RedisUrl).reveal() == url


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("h:26379", "the service's name"),
        ("h:26379/", "the service's name"),
        ("h:26379/a/b", "the service's name"),
        ("/hits", "Sentinel 1 is not host:port"),
        ("h/hits", "Sentinel 1 is not host:port"),
        ("h:1,/hits", "Sentinel 2 is not host:port"),
        ("h:1, h:2/hits", "Sentinel 2 is not host:port"),
        ("h:0/hits", "Sentinel 1 has no port"),
        ("h:1,h:65536/hits", "Sentinel 2 has no port"),
        ("h:one/hits", "Sentinel 1 has no port"),
        ("::1:26379/hits", "IPv6 address without brackets"),
        ("h:1/hits?db=two", "db is a number"),
        ("h:1/hits?db=-1", "db is a number"),
        (f"h:1/hits?pasword={PASSWORD}", "it takes db, sentinel_username"),
        ("h:1/hits?ssl_ca_certs=/ca", "are for rediss"),
        (f"u:{PASSWORD}/more@h:1/hits", "the service's name"),
    ],
)
def test_what_is_wrong_is_named_and_shows_no_secret(rest: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"takes redis\+sentinel://") as caught:
        read(f"redis+sentinel://{rest}", RedisUrl)
    assert message in str(caught.value)
    assert PASSWORD not in str(caught.value)


def test_a_file_that_is_not_there_is_named_before_anybody_is_asked() -> None:
    with pytest.raises(ValueError, match="ssl_certfile names a file that cannot be read here"):
        read(f"rediss+sentinel://h:1/hits?ssl_ca_certs={CA}&ssl_certfile={CA}.none", RedisUrl)


@pytest.mark.parametrize("scheme", ["redis+cluster", "rediss+cluster"])
def test_a_cluster_is_refused_in_so_many_words(scheme: str) -> None:
    with pytest.raises(ValueError, match=r"does not take redis\+cluster:// yet") as caught:
        read(f"{scheme}://u:{PASSWORD}@h:1,h:2", RedisUrl)
    assert PASSWORD not in str(caught.value)


async def test_a_connection_has_what_the_url_says() -> None:
    pool = redis_clients.pool(Secret(FULL), bounded=True, max_connections=2, timeout=1.0, socket_connect_timeout=0.3)
    connection = pool.make_connection()  # type: ignore[no-untyped-call]
    assert isinstance(connection, SentinelManagedSSLConnection)
    assert (connection.db, connection.username, connection.password) == (3, "app", f"{PASSWORD}@")
    (first, second) = pool.sentinel_manager.sentinels  # type: ignore[attr-defined]
    asked = first.connection_pool.connection_kwargs
    assert (asked["host"], asked["password"], asked["socket_connect_timeout"]) == ("::1", PASSWORD, pytest.approx(0.1))
    assert PASSWORD not in f"{pool!r} {connection!r} {first!r} {second!r}"
    await pool.aclose()


async def test_two_who_look_for_the_master_at_once_lose_no_sentinel(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = redis_clients.pool(Secret("redis+sentinel://down:1,up:2,other:3/hits"))
    manager = pool.sentinel_manager  # type: ignore[attr-defined]
    known = set(manager.sentinels)

    async def masters(sentinel: Redis) -> dict[str, Any]:
        await asyncio.sleep(0)
        if sentinel.connection_pool.connection_kwargs["host"] == "down":
            raise redis.ConnectionError("refused")
        state = {"is_master": True, "is_sdown": False, "is_odown": False, "num-other-sentinels": 2}
        return {"hits": {"ip": "m", "port": 4, **state}}

    monkeypatch.setattr(Redis, "sentinel_masters", masters)
    assert await asyncio.gather(*(manager.discover_master("hits") for _ in range(2))) == [("m", 4)] * 2
    assert set(manager.sentinels) == known
    assert manager.sentinels[0].connection_pool.connection_kwargs["host"] == "up"
