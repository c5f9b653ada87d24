"""Limits per workspace and class, counted in a real Redis by one or several gateways."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis as redis_sync
from aiohttp import web
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from structlog.testing import capture_logs

from postmeter.gateway.limits import limits, outage
from postmeter.gateway.limits.limits import Limits
from postmeter.gateway.metrics import GatewayMetrics
from postmeter.shared.apis.endpoint import Limit
from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import RequestError
from postmeter.shared.stream import streams
from tests.integration.running_gateway import bearer, client, gateway, service, speak
from tests.integration.running_query import Workspaces, workspaces
from tests.integration.stopped_clock import Clock
from tests.product import free_port

READ = "/api/v1/analytics"
MINUTE = 60_000_000


async def answer(request: web.Request) -> web.Response:
    if "fail" in request.query:
        return web.json_response({"error": {"code": "X", "message": "m"}}, status=422)
    return web.json_response({})


@asynccontextmanager
async def door(dsn: str, redis_url: str, text: str = "read=3", **more: Any) -> AsyncIterator[tuple[Workspaces, str]]:
    async with (
        service(answer) as url,
        workspaces(dsn) as here,
        gateway(dsn, query_url=url, tracking_url=url, redis_url=Secret(redis_url), rate_limits=text, **more) as at,
    ):
        yield here, at


async def ask(url: str, key: str, path: str = READ, method: str = "GET", **options: Any) -> tuple[int, dict[str, str]]:
    async with client() as session, session.request(method, url + path, headers=bearer(key), **options) as got:
        return got.status, {k: v for k, v in got.headers.items() if k.startswith("RateLimit") or k == "Retry-After"}


class Seconds:
    """Equal to a header that says this many seconds, or a few less: a busy machine takes its time."""

    def __init__(self, most: int) -> None:
        self.most = most

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and self.most - 10 < int(other) <= self.most

    def __repr__(self) -> str:
        return f"about {self.most}"


def micros(time: tuple[int, int]) -> int:
    """A moment of Redis' clock in microseconds."""
    return time[0] * 1_000_000 + time[1]


class Standing:
    """Equal to a RateLimit header of a class that says these numbers, or a few seconds less."""

    def __init__(self, name: str, remaining: int, reset: int) -> None:
        self.start, self.reset = f'"{name}";r={remaining};t=', Seconds(reset)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and other.startswith(self.start) and self.reset == other[len(self.start) :]

    def __repr__(self) -> str:
        return f"{self.start}{self.reset}"


def told(limit: int, remaining: int, reset: int, name: str = "read") -> dict[str, Any]:
    return {
        "RateLimit-Policy": f'"{name}";q={limit};w=60',
        "RateLimit": Standing(name, remaining, reset),
        "RateLimit-Limit": str(limit),
        "RateLimit-Remaining": str(remaining),
        "RateLimit-Reset": Seconds(reset),
    }


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is not a dead Redis."""
    monkeypatch.setattr(limits, "DEADLINE_SECONDS", 10.0)


async def test_the_whole_limit_may_come_at_once_and_then_nothing(shared_postgres_dsn: str, redis_url: str) -> None:
    async with door(shared_postgres_dsn, redis_url) as (here, url):
        key = await here.key(await here.workspace())
        assert [await ask(url, key) for _ in range(3)] == [(200, told(3, left, 60 - 20 * left)) for left in (2, 1, 0)]
        assert await ask(url, key) == (429, {**told(3, 0, 60), "Retry-After": Seconds(20)})
        # Another class, another workspace: not concerned.
        assert (await ask(url, key, "/api/v1/tracking/stats", "HEAD"))[0] == 429
        other = await here.key(await here.workspace())
        assert await ask(url, other) == (200, told(3, 2, 20))
        writer = await here.key(await here.workspace(), "admin", ("track",))
        assert await ask(url, writer, "/v1/events", "POST", json={}) == (200, told(6000, 5999, 1, "write"))


async def test_head_counts_as_get_and_errors_behind_carry_the_headers(shared_postgres_dsn: str, redis_url: str) -> None:
    async with door(shared_postgres_dsn, redis_url) as (here, url):
        key = await here.key(await here.workspace())
        assert await ask(url, key, READ, "HEAD") == (200, told(3, 2, 20))
        assert await ask(url, key, READ + "?fail") == (422, told(3, 1, 40))
        async with client() as session:
            wrong = {**bearer(key), "Content-Type": "text/xml"}
            async with session.post(url + "/v1/query", data=b"<a/>", headers=wrong) as got:
                assert (got.status, got.headers["RateLimit-Remaining"]) == (415, "0")


async def test_only_a_good_key_with_the_scope_is_counted(shared_postgres_dsn: str, redis_url: str) -> None:
    async with door(shared_postgres_dsn, redis_url) as (here, url):
        workspace = await here.workspace()
        key, scopeless = await here.key(workspace), await here.key(workspace, scopes=("track",))
        for bad, path, status in (
            (key[:-1] + "x", READ, 401),
            ("", READ, 401),
            (scopeless, READ, 403),
            (key, "/api/v1/nothing", 404),
        ):
            assert await ask(url, bad, path) == (status, {})
        assert await ask(url, key, READ, "DELETE") == (405, {})
        assert await ask(url, key) == (200, told(3, 2, 20))


async def test_gateways_count_together_and_exactly(shared_postgres_dsn: str, redis_url: str) -> None:
    async with (
        door(shared_postgres_dsn, redis_url, "read=40") as (here, one),
        door(shared_postgres_dsn, redis_url, "read=40") as (_, two),
        client() as session,
        Redis.from_url(redis_url) as redis,
    ):
        workspace = await here.workspace()
        key = await here.key(workspace)

        async def once(url: str) -> int:
            async with session.get(url + READ, headers=bearer(key)) as got:
                return got.status

        before = micros(await redis.time())
        found = await asyncio.gather(*(once(url) for url in [one, two] * 40))
        after = micros(await redis.time())
        free_at = int(await redis.get(streams.limit(workspace, Limit.READ)) or 0)
    passed, interval = found.count(200), MINUTE // 40
    assert passed + found.count(429) == 80
    # Each one that passed moved the key by one interval, from the moment of the first: none was counted twice or not.
    assert before <= free_at - passed * interval <= after
    # All 40 at once, and one more for each 1.5 s of Redis' clock that went by: at most one, were it not so busy here.
    assert 40 <= passed <= 40 + (after - before) // interval


async def test_the_first_minute_lets_twice_the_limit_through_and_no_other_minute_does(redis_url: str) -> None:
    """What docs/api/limits.md says of a limit that is used up at once and then for as long as it lasts."""
    async with Redis.from_url(redis_url) as redis:
        counted, _ = counting(redis, {Limit.READ: 6})
        key = streams.limit(7, Limit.READ)

        async def passes() -> int:
            """How many go through at this moment."""
            for number in itertools.count():
                try:
                    await counted.count(7, Limit.READ)
                except RequestError:
                    return number
            raise AssertionError

        by_second = {0: await passes()}
        for second in range(10, 121, 10):
            # Ten seconds of the server's clock go by, and none of this test's own.
            now = micros(await redis.time())
            await redis.set(key, now + MINUTE - 10_000_000)
            by_second[second] = await passes()
    assert sum(by_second[second] for second in range(0, 60, 10)) == 11
    assert by_second[0] + sum(by_second[second] for second in range(10, 61, 10)) == 12
    assert sum(by_second[second] for second in range(60, 120, 10)) == 6


async def test_a_refusal_comes_before_the_body_in_the_document_s_envelope(
    shared_postgres_dsn: str, redis_url: str
) -> None:
    async with door(shared_postgres_dsn, redis_url, "read=1,write=1") as (here, url):
        key = await here.key(await here.workspace(), scopes=("analytics", "track"))
        await ask(url, key)
        await ask(url, key, "/v1/events", "POST", json={})
        head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: 5000000\r\n\r\n"
        assert (await speak(url, head.encode(), until_closed=False)).startswith(b"HTTP/1.1 429 ")
        async with client() as session, session.get(url + READ, headers=bearer(key)) as got:
            body = json.loads(await got.read())
        assert (list(body), body["error"]["code"]) == (["error", "meta"], "RATE_LIMITED")
        assert "1 requests per minute" in body["error"]["message"]


async def test_off_is_no_limit(shared_postgres_dsn: str, redis_url: str) -> None:
    async with door(shared_postgres_dsn, redis_url, "read=off") as (here, url):
        assert await ask(url, await here.key(await here.workspace())) == (200, {})


def counting(redis: Redis, rates: dict[Limit, int], clock: Clock | None = None) -> tuple[Limits, Any]:
    registry = CollectorRegistry()
    made = Limits(redis, rates, GatewayMetrics(registry), clock or Clock())
    return made, lambda name: registry.get_sample_value(f"postmeter_rate_{name}_total", {"limit": "read"}) or 0


async def test_time_brings_the_limit_back_evenly(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        counted, sample = counting(redis, {Limit.READ: 6})
        for _ in range(6):
            await counted.count(7, Limit.READ)
        with pytest.raises(RequestError) as refused:
            await counted.count(7, Limit.READ)
        assert (refused.value.status, sample("limited")) == (429, 1)
        assert refused.value.headers == {**told(6, 0, 60), "Retry-After": Seconds(10)}
        # One comes back every ten seconds of the server's clock: 25 of them go by.
        key = streams.limit(7, Limit.READ)
        await redis.set(key, int(await redis.get(key) or 0) - 25_000_000)
        assert [(await counted.count(7, Limit.READ))["RateLimit-Remaining"] for _ in range(2)] == ["1", "0"]
        with pytest.raises(RequestError):
            await counted.count(7, Limit.READ)
        # An idle workspace leaves nothing behind.
        assert 0 < await redis.pttl(key) <= 60_000


@pytest.mark.parametrize("rate", [1, 7, 59, 600, 999_999, 1_000_000])
async def test_any_limit_is_let_through_whole(redis_url: str, rate: int) -> None:
    async with Redis.from_url(redis_url) as redis:
        counted, _ = counting(redis, {Limit.READ: rate})
        assert await counted.count(1, Limit.READ) == told(rate, rate - 1, -(-60 // rate))
        # As if all but one had been used at this moment.
        interval = MINUTE // rate
        seconds, micros = await redis.time()
        await redis.set(streams.limit(1, Limit.READ), seconds * 1_000_000 + micros + interval * (rate - 1))
        assert (await counted.count(1, Limit.READ))["RateLimit-Limit"] == str(rate)


async def test_a_clock_that_was_set_back_locks_nobody_out(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        counted, _ = counting(redis, {Limit.READ: 60})
        seconds, _ = await redis.time()
        key = streams.limit(1, Limit.READ)
        await redis.set(key, (seconds + 86400) * 1_000_000)
        with pytest.raises(RequestError) as refused:
            await counted.count(1, Limit.READ)
        assert (refused.value.headers["RateLimit-Reset"], refused.value.headers["Retry-After"]) == ("60", "1")
        # The server's clock goes on by that second.
        await redis.decrby(key, 1_000_000)
        assert (await counted.count(1, Limit.READ))["RateLimit-Remaining"] == "0"
        assert await redis.pttl(key) <= 60_000


async def test_keys_of_a_workspace_lie_on_one_cluster_node() -> None:
    assert {streams.limit(12, kind).count("{12}") for kind in Limit} == {1}


async def test_requests_pass_while_redis_is_silent_and_nearly_none_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DEADLINE_SECONDS", 0.1)
    hung: list[asyncio.StreamWriter] = []

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hung.append(writer)

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    address = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    clock = Clock()
    redis = limits.client(Secret(address))
    try:
        counted, sample = counting(redis, {Limit.READ: 1}, clock)
        # Silent: the first waits for the deadline, the others do not even ask.
        assert [await counted.count(1, Limit.READ) for _ in range(50)] == [{}] * 50
        attempts = len(hung)
        assert attempts <= 2
        assert sample("limit_skipped") == 50
        # After the pause one request tries, whatever number comes.
        clock.now += outage.PAUSE_SECONDS
        assert await asyncio.gather(*(counted.count(1, Limit.READ) for _ in range(50))) == [{}] * 50
        assert len(hung) - attempts <= 2
    finally:
        server.close()
        for writer in hung:
            writer.close()
        await redis.aclose()


async def test_an_outage_ends_by_itself(redis_url: str) -> None:
    clock = Clock()
    with contextlib.closing(redis_sync.Redis.from_url(redis_url)) as control:
        redis = limits.client(Secret(redis_url))
        try:
            counted, sample = counting(redis, {Limit.READ: 1}, clock)
            key = streams.limit(1, Limit.READ)
            control.lpush(key, "not a number")  # Redis answers, with an error
            assert [await counted.count(1, Limit.READ) for _ in range(3)] == [{}] * 3
            control.delete(key)
            assert await counted.count(1, Limit.READ) == {}
            clock.now += outage.PAUSE_SECONDS
            assert await counted.count(1, Limit.READ) == told(1, 0, 60)
            with pytest.raises(RequestError):
                await counted.count(1, Limit.READ)
            assert (sample("limit_skipped"), sample("limited")) == (4, 1)
        finally:
            await redis.aclose()


async def test_an_outage_is_told_when_it_is_more_than_a_moment(redis_url: str) -> None:
    clock = Clock()
    with contextlib.closing(redis_sync.Redis.from_url(redis_url)) as control, capture_logs() as lines:
        redis = limits.client(Secret(redis_url))
        counted, sample = counting(redis, {Limit.READ: 1000}, clock)

        async def after(seconds: float, *, is_away: bool = False) -> None:
            clock.now += seconds
            control.delete(key := streams.limit(1, Limit.READ))
            if is_away:
                control.lpush(key, "not a number")
            await counted.count(1, Limit.READ)

        try:
            for _ in range(3):
                await after(60, is_away=True)
                await after(1)
            assert (lines, sample("limit_skipped")) == ([], 3)
            for seconds in (60, 1, 1, 1):
                await after(seconds, is_away=True)
            await after(1)
            assert [(line["log_level"], line["seconds"], line["passed"]) for line in lines] == [("warning", 2, 3)]
            await after(outage.CALM_SECONDS - 1)
            assert (lines[1]["event"], lines[1]["seconds"], lines[1]["passed"]) == ("requests are limited again", 3, 4)
            # Half of the time Redis answers.
            for n in range(4):
                await after(1, is_away=n % 2 == 0)
            assert [(line["log_level"], line["passed"]) for line in lines[2:]] == [("warning", 2)]
        finally:
            await redis.aclose()


async def test_a_gateway_without_redis_answers_and_is_ready(shared_postgres_dsn: str) -> None:
    ops_port = free_port()
    async with (
        door(shared_postgres_dsn, "redis://127.0.0.1:1", ops_port=ops_port) as (here, url),
        client() as session,
    ):
        key = await here.key(await here.workspace())
        assert [await ask(url, key) for _ in range(5)] == [(200, {})] * 5
        async with session.get(f"http://127.0.0.1:{ops_port}/readyz") as ready:
            assert ready.status == 200
        async with session.get(f"http://127.0.0.1:{ops_port}/metrics") as metrics:
            assert 'postmeter_rate_limit_skipped_total{limit="read"} 5.0' in await metrics.text()


async def test_connections_that_break_under_a_request_let_it_pass(redis_url: str) -> None:
    """uvloop says so by a RuntimeError, at the moment of writing."""
    redis = limits.client(Secret(redis_url))
    counted, sample = counting(redis, {Limit.READ: 1000}, Clock())
    try:
        assert await counted.count(1, Limit.READ)
        connections: list[Any] = redis.connection_pool._available_connections
        send = type(connections[0]).send_packed_command

        async def send_on_broken(connection: Any, *command: Any, **more: Any) -> None:
            connection._writer.transport.abort()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await send(connection, *command, **more)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(connections[0]), "send_packed_command", send_on_broken)
            assert await counted.count(1, Limit.READ) == {}
        assert sample("limit_skipped") == 1
    finally:
        await redis.aclose()
