"""Tracking URLs through the gateway: byte for byte, and answered whatever is down."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web
from yarl import URL

from postmeter.gateway.hits import client as hit_client
from postmeter.gateway.hits import stand_in as hits_module
from postmeter.gateway.hits.client import NotSent
from postmeter.shared.apis.documents.vectis import CLICK_PATH, OPEN_PATH
from postmeter.shared.auth.sealed import Seals
from postmeter.shared.http.clients import client_address
from postmeter.shared.http.clients.client_address import Client
from postmeter.shared.links import tokens
from postmeter.shared.links.hits import GIF, PIXEL_HEADERS
from postmeter.shared.stream.events import Mark
from tests.integration.running_gateway import NOWHERE, TOKEN_KEYS, client, gateway, raw_service, service, speak
from tests.integration.tracking_service import Service, click_target, hits_of, honeypot_target, new_message, open_target
from tests.product import free_port
from tests.sealing import INTERNAL

RING = tokens.KeyRing.parse(TOKEN_KEYS)
MESSAGE = bytes(16)
DESTINATION = "https://shop.example/a%20b?q=1%2B1+x&double=%2525#frag"
OPEN = OPEN_PATH + RING.sign_open(1, MESSAGE)
CLICK = f"{CLICK_PATH}{RING.sign_click(1, MESSAGE, DESTINATION)}?url={quote(DESTINATION, safe='')}"
HONEYPOT = f"{CLICK_PATH}{RING.sign_honeypot(1, MESSAGE, DESTINATION)}?url={quote(DESTINATION, safe='')}"


@asynccontextmanager
async def recorded(dsn: str, answer: bytes, **settings: Any) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A gateway before a service that gives one answer and keeps every request's bytes."""
    seen: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                seen.extend([] if head.startswith(b"OPTIONS ") else [head])  # asked for /readyz
                writer.write(answer)
        except asyncio.IncompleteReadError:
            writer.close()

    async with raw_service(talk) as upstream, gateway(dsn, tracking_url=upstream, **settings) as url:
        yield url, seen


GIF_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\nSet-Cookie: a=b\r\nContent-Length: 3\r\n\r\nGIF"


@pytest.mark.parametrize(
    "target",
    [
        OPEN_PATH + "abc",
        OPEN_PATH,
        OPEN_PATH + "%2e%2e",
        OPEN_PATH + "a" * 10_000,
        OPEN_PATH + "abc?x=%00%0d%0a&y=%zz",
        CLICK_PATH + 'abc?url=https%3A%2F%2Fe.example%2F%25%20+%2B&url=a|b{c}"<>^`\\',
        CLICK_PATH + "abc?url=" + "%41" * 8192,
        CLICK_PATH + "abc?",
    ],
    ids=lambda target: target[:60],
)
async def test_path_and_query_pass_byte_for_byte(shared_postgres_dsn: str, target: str) -> None:
    async with recorded(shared_postgres_dsn, GIF_ANSWER) as (url, seen):
        request = b"GET " + target.encode("latin-1") + b" HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
        answer = await speak(url, request)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nGIF")
    assert seen[0].split(b"\r\n", 1)[0] == b"GET " + target.encode("latin-1") + b" HTTP/1.1"
    assert b"evil.example" not in seen[0]


@pytest.mark.parametrize(
    ("raw", "passed"),
    [(b"\xc3\xa9", b"%C3%A9"), (b"\xc0\xaf", b"%C0%AF"), (b"a b", b"a%20b"), (b"\0", b""), (b"\r", b"")],
)
async def test_what_no_target_may_hold_passes_encoded_or_not_at_all(
    shared_postgres_dsn: str, raw: bytes, passed: bytes
) -> None:
    async with recorded(shared_postgres_dsn, GIF_ANSWER) as (url, seen):
        target = f"{CLICK_PATH}abc?url=".encode()
        answer = await speak(url, b"GET " + target + raw + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    if passed:
        assert seen[0].startswith(b"GET " + target + passed + b" HTTP/1.1\r\n")
        return
    assert b" 400 Bad Request\r\n" in answer
    assert b'"meta":' in answer
    assert not seen


async def test_headers_that_decide_the_verdict_pass_and_no_others(shared_postgres_dsn: str) -> None:
    async with recorded(shared_postgres_dsn, GIF_ANSWER) as (url, seen):
        answer = await speak(
            url,
            f"GET {OPEN} HTTP/1.1\r\nHost: x\r\nUser-Agent: M\xe9 (via ggpht.com)\r\nSec-Purpose: prefetch\r\n"
            "Purpose: p\r\nX-Purpose: preview\r\nX-Moz: prefetch\r\nX-Forwarded-For: 6.6.6.6\r\nCookie: c=d\r\n"
            "Authorization: Bearer x\r\nPostmeter-Principal: forged\r\nConnection: close\r\n\r\n".encode("latin-1"),
        )
    lines = set(seen[0].strip().split(b"\r\n")[1:])
    assert vouched(seen[0]) == "127.0.0.1"
    assert {line for line in lines if not line.startswith((b"Host: 127.0.0.1:", b"Postmeter-Client: "))} == {
        "User-Agent: M\xe9 (via ggpht.com)".encode("latin-1"),
        b"Sec-Purpose: prefetch",
        b"Purpose: p",
        b"X-Purpose: preview",
        b"X-Moz: prefetch",
    }
    assert b"Set-Cookie" not in answer
    assert b"X-Content-Type-Options: nosniff" in answer


def vouched(request: bytes) -> str:
    """The client that the gateway vouches for."""
    line, *lines = request.decode("latin-1").split("\r\n")
    headers = dict(one.split(": ", 1) for one in lines if ": " in one)
    method, target, _ = line.split(" ")
    return Seals(INTERNAL).open(client_address.HEADER, Client, headers, method, target).address


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_trusted_proxy_s_client_is_vouched_for(shared_postgres_dsn: str, method: str) -> None:
    async with recorded(shared_postgres_dsn, GIF_ANSWER, trusted_hops=1) as (url, seen):
        forwarded = b"X-Forwarded-For: 6.6.6.6, 192.0.2.1\r\nPostmeter-Client: forged\r\n"
        await speak(url, f"{method} {OPEN} HTTP/1.0\r\n".encode() + forwarded + b"\r\n")
    assert vouched(seen[0]) == "192.0.2.1"
    assert b"6.6.6.6" not in seen[0]
    assert b"forged" not in seen[0]


async def test_redirects_and_refusals_are_handed_back_as_they_are(shared_postgres_dsn: str) -> None:
    location = f"Location: {DESTINATION}".encode()
    redirect = b"HTTP/1.1 302 Found\r\n" + location + b"\r\nCache-Control: no-store\r\nContent-Length: 0\r\n\r\n"
    async with recorded(shared_postgres_dsn, redirect) as (url, _):
        answer = await speak(url, f"GET {CLICK} HTTP/1.0\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.0 302 Found\r\n")
    assert location in answer
    refused = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\npage"
    async with recorded(shared_postgres_dsn, refused) as (url, _):
        answer = await speak(url, f"GET {CLICK} HTTP/1.0\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.0 404 Not Found\r\n")
    assert answer.endswith(b"\r\n\r\npage")


async def test_head_is_passed_on_as_head_and_has_no_body(shared_postgres_dsn: str) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\nContent-Length: 43\r\n\r\n"
    async with recorded(shared_postgres_dsn, head) as (url, seen):
        request = f"HEAD {OPEN} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        answer = await speak(url, request + request.replace(b"Host: x", b"Host: x\r\nConnection: close"))
    assert [part.split(b" ")[0] for part in seen] == [b"HEAD", b"HEAD"]
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert b"GIF" not in answer


async def test_a_head_of_a_click_and_a_visit_of_the_honeypot_are_recorded_with_their_mark(
    shared_postgres_dsn: str, redis_url: str, tmp_path: Path
) -> None:
    tracking = Service(redis_url, tmp_path / "spool")
    query = f"url={quote(DESTINATION, safe='')}"
    message = new_message()
    targets = (click_target(message, DESTINATION, query), honeypot_target(message, DESTINATION, query))
    try:
        async with (
            gateway(shared_postgres_dsn, tracking_url=f"http://127.0.0.1:{tracking.port}") as url,
            client() as session,
        ):
            for method in ("HEAD", "GET"):
                for target in targets:
                    at = URL(url + target, encoded=True)
                    async with session.request(method, at, allow_redirects=False) as answer:
                        assert (answer.status, answer.headers["Location"]) == (302, DESTINATION)
                        assert "Postmeter-Dropped" not in answer.headers
        marks = sorted(hit.mark for hit in hits_of(redis_url, message))
        assert marks == [Mark.NONE, Mark.HEAD, Mark.HEAD, Mark.HONEYPOT]
    finally:
        assert await asyncio.to_thread(tracking.terminate) == 0


async def test_hits_that_tracking_drops_carry_its_mark_here_too(shared_postgres_dsn: str, tmp_path: Path) -> None:
    """Redis is nowhere and nothing may be spooled."""
    tracking = Service("redis://127.0.0.1:1", tmp_path / "spool", spool_bytes=1)
    message, query = new_message(), f"url={quote(DESTINATION, safe='')}"
    try:
        async with gateway(shared_postgres_dsn, tracking_url=f"http://127.0.0.1:{tracking.port}") as url:
            status, headers, body = await get(url, open_target(message))
            assert (status, body, headers["Postmeter-Dropped"]) == (200, GIF, "spool_full")
            status, headers, _ = await get(url, click_target(message, DESTINATION, query))
            assert (status, headers["Location"], headers["Postmeter-Dropped"]) == (302, DESTINATION, "spool_full")
    finally:
        assert await asyncio.to_thread(tracking.terminate) == 0


async def test_many_hits_share_few_connections_and_none_is_mixed_up(shared_postgres_dsn: str) -> None:
    ports = set()

    async def echo(request: web.Request) -> web.Response:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername")[1])
        await asyncio.sleep(0)
        return web.Response(text=request.raw_path, content_type="text/plain")

    async with (
        service(echo) as upstream,
        gateway(shared_postgres_dsn, tracking_url=upstream, hits=4) as url,
        client() as s,
    ):

        async def hit(number: int) -> None:
            async with s.get(f"{url}{OPEN_PATH}{number}") as answer:
                assert await answer.text() == f"{OPEN_PATH}{number}"

        await asyncio.gather(*(hit(number) for number in range(300)))
    assert 1 <= len(ports) <= 4


async def get(url: str, path: str) -> tuple[int, Any, bytes]:
    async with client() as session, session.get(url + path, allow_redirects=False) as answer:
        return answer.status, answer.headers, await answer.read()


def assert_dropped_pixel(answer: tuple[int, Any, bytes]) -> None:
    status, headers, body = answer
    assert (status, body) == (200, GIF)
    assert PIXEL_HEADERS.items() <= dict(headers).items()
    assert headers["Postmeter-Dropped"]
    assert "Set-Cookie" not in headers


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that soon gives up on a service, so that a test of it takes no seconds."""
    monkeypatch.setattr(hits_module, "RESTART_SECONDS", 0.1)
    monkeypatch.setattr(hits_module, "ANSWER_SECONDS", 0.3)


@pytest.mark.usefixtures("hurried")
async def test_with_tracking_down_the_pixel_is_served_and_a_genuine_click_arrives(shared_postgres_dsn: str) -> None:
    async with gateway(shared_postgres_dsn, tracking_url=NOWHERE, token_keys=TOKEN_KEYS) as url:
        assert_dropped_pixel(await get(url, OPEN))
        assert_dropped_pixel(await get(url, OPEN_PATH + "nonsense"))
        for link in (CLICK, HONEYPOT):
            status, headers, _ = await get(url, link)
            assert (status, headers["Location"], headers["Postmeter-Dropped"]) == (302, DESTINATION, "not_sent")
        _, headers, _ = await get(url, CLICK + "&utm_source=x&fbclid=1")
        assert headers["Location"] == DESTINATION.replace("#", "&utm_source=x&fbclid=1#")


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    ("path", "status"),
    [
        (path, 404)
        for path in (
            CLICK.replace("shop.example", "evil.example"),
            HONEYPOT.replace("shop.example", "evil.example"),
            CLICK + "&url=" + quote("https://evil.example/", safe=""),
            CLICK + "&%75rl=" + quote("https://evil.example/", safe=""),
            CLICK.partition("?")[0],
            CLICK.replace(CLICK_PATH, CLICK_PATH + "A"),
            CLICK.replace("url=", "URL="),
            CLICK.replace("%252B", "%252b"),
            CLICK_PATH + OPEN.removeprefix(OPEN_PATH) + "?url=" + quote(DESTINATION, safe=""),
            CLICK_PATH + RING.sign_click(1, MESSAGE, "javascript:alert(1)") + "?url=javascript:alert(1)",
            CLICK_PATH
            + RING.sign_click(1, MESSAGE, "https://a.example/\r\nX: y")
            + "?url=https://a.example/%0d%0aX:%20y",
            CLICK_PATH + "x?url=",
        )
    ]
    + [(CLICK_PATH + "x?url=%ff", 400), (CLICK_PATH + "x?url=%00", 400)],
)
async def test_with_tracking_down_every_other_click_is_refused_for_good(
    shared_postgres_dsn: str, path: str, status: int
) -> None:
    async with gateway(shared_postgres_dsn, tracking_url=NOWHERE, token_keys=TOKEN_KEYS) as url:
        answer = await speak(url, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"Content-Type: text/html" in answer
    for again in (b"Location", b"Retry-After", b"http-equiv", b"Postmeter-Dropped"):
        assert again not in answer


@pytest.mark.usefixtures("hurried")
async def test_without_token_keys_a_click_gets_a_page_that_tries_again(shared_postgres_dsn: str) -> None:
    async with gateway(shared_postgres_dsn, tracking_url=NOWHERE) as url:
        status, headers, body = await get(url, CLICK)
    assert (status, headers["Content-Type"]) == (503, "text/html; charset=utf-8")
    assert b'http-equiv="refresh"' in body


async def test_a_restarting_service_is_waited_for(shared_postgres_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    refusals = asyncio.Event()

    class Watched(NotSent):
        def __init__(self, *args: object) -> None:
            super().__init__(*args)
            refusals.set()

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=b"counted")

    monkeypatch.setattr(hit_client, "NotSent", Watched)
    async with gateway(shared_postgres_dsn, tracking_url=f"http://127.0.0.1:{port}") as url:
        hit = asyncio.create_task(get(url, OPEN))
        await refusals.wait()
        app = web.Application()
        app.router.add_get("/{rest:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        assert (await hit)[2] == b"counted"
        await runner.cleanup()


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("behaviour", ["dies", "silent", "garbage", "half"])
async def test_a_hit_that_may_have_been_counted_is_sent_only_once(shared_postgres_dsn: str, behaviour: str) -> None:
    received: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return
        received.extend([] if head.startswith(b"OPTIONS ") else [head])  # asked for /readyz
        answers = {"garbage": b"\x16\x03\x01nonsense\r\n\r\n", "half": GIF_ANSWER[:-1]}
        writer.write(answers.get(behaviour, b""))
        if behaviour == "silent":
            await reader.read()
        writer.close()

    async with (
        raw_service(talk) as upstream,
        gateway(shared_postgres_dsn, tracking_url=upstream, token_keys=TOKEN_KEYS) as url,
    ):
        assert_dropped_pixel(await get(url, OPEN))
        assert len(received) == 1
        status, headers, _ = await get(url, CLICK)
        assert (status, headers["Location"], headers["Postmeter-Dropped"]) == (302, DESTINATION, "no_answer")
        assert len(received) == 2


@pytest.mark.usefixtures("hurried")
async def test_hits_that_find_no_turn_are_answered_all_the_same(shared_postgres_dsn: str) -> None:
    release = asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        await release.wait()
        return web.Response(body=b"counted")

    async with service(slow) as upstream, gateway(shared_postgres_dsn, tracking_url=upstream, hits=1) as url:
        answers = await asyncio.gather(*(get(url, OPEN) for _ in range(5)))
        for answer in answers:
            assert_dropped_pixel(answer)
        release.set()


async def test_a_fault_of_our_own_breaks_no_image_and_no_link(
    shared_postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(hit_client.HitClient, "fetch", broken)
    async with gateway(shared_postgres_dsn, token_keys=TOKEN_KEYS) as url:
        assert_dropped_pixel(await get(url, OPEN))
        status, headers, _ = await get(url, CLICK)
        assert (status, headers["Location"], headers["Postmeter-Dropped"]) == (302, DESTINATION, "fault")


async def test_dropped_hits_are_in_the_metrics(shared_postgres_dsn: str, hurried: None) -> None:
    ops_port = free_port()
    async with gateway(shared_postgres_dsn, ops_port=ops_port, token_keys=TOKEN_KEYS) as url, client() as session:
        await get(url, OPEN)
        await get(url, CLICK)
        async with session.get(f"http://127.0.0.1:{ops_port}/metrics") as answer:
            text = await answer.text()
    assert 'postmeter_gateway_hits_dropped_total{kind="open"} 1.0' in text
    assert 'postmeter_gateway_hits_dropped_total{kind="click"} 1.0' in text
    assert 'postmeter_upstream_failures_total{cause="not_sent",service="tracking"} 2.0' in text
