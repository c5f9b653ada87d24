"""Malformed and odd requests on every port (hostile-input.md 18-21): an answer of ours or none, nothing repeated."""

import asyncio
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from postmeter.shared.apis.documents.vectis import CLICK_PATH
from postmeter.shared.http import refusals
from postmeter.shared.stream.records import Event, Hit
from tests.integration.every_port import Port, every_port
from tests.integration.misbehaving_clients import heard_of, says
from tests.integration.tracking_service import KEYS, WORKSPACE, hits_of, new_message, once, open_target

CANARY = b"ca7na7ry"
NOISES = (
    b"\0",
    b"\xff",
    b"\r",
    b"\n",
    b"\r\n",
    b" ",
    b":",
    b"\t",
    b"\x7f",
    b"%",
    b"\xc3\xa9",
    b"HTTP/",
    b"//",
    b"\x16\x03\x01",
)
HEAD = b"GET /api/v1/" + CANARY + b"?x=" + CANARY + b" HTTP/1.1\r\nHost: t\r\nX-A: " + CANARY + b"\r\n"
TABLE = (
    CANARY,
    CANARY + b"\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00" + CANARY,
    b"GET " + CANARY + b" HTTP/1.1\r\nHost: t\r\n\r\n",
    b"GET http://[" + CANARY + b" HTTP/1.1\r\nHost: t\r\n\r\n",
    b"GET http://t:99999999/" + CANARY + b" HTTP/1.1\r\nHost: t\r\n\r\n",
    b"CONNECT " + CANARY + b" HTTP/1.1\r\nHost: t\r\n\r\n",
    b"CONNECT t:443 HTTP/1.1\r\nHost: t\r\n\r\n" + CANARY,
    b"OPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + CANARY,
    CANARY + b" / HTTP/1.1\r\nHost: t\r\n\r\n",
    b"GET / HTTP/" + CANARY + b"\r\n\r\n",
    HEAD + CANARY + b"\r\n\r\n",
    HEAD + b"\xff" + CANARY + b": x\r\n\r\n",
    HEAD + b"Content-Length: " + CANARY + b"\r\n\r\n",
    HEAD + b"Content-Length: -1\r\n\r\n" + CANARY,
    HEAD + b"Transfer-Encoding: " + CANARY + b"\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + CANARY + b"\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n" + CANARY + b"\r\n",
    HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + CANARY,
    HEAD + b"Expect: " + CANARY + b"\r\n\r\n",
    HEAD + b"X-Request-Id: \xff" + CANARY + b"\r\n\r\n",
    HEAD + b"X: " + CANARY * 10_000 + b"\r\n\r\n",
    HEAD + b"X: " + CANARY + b"\r\n" + b"Y: z\r\n" * 200 + b"\r\n",
    b"GET /" + CANARY * 10_000 + b" HTTP/1.1\r\nHost: t\r\n\r\n",
)  # fmt: skip


def mutations(seed: int, count: int) -> Iterator[bytes]:
    """Good heads with noise put in, or a piece left out, at one place or two."""
    chance = random.Random(seed)
    for _ in range(count):
        made = bytearray(HEAD + b"Content-Length: 2\r\n\r\n[]")
        for _ in range(chance.randint(1, 2)):
            at = chance.randrange(len(made))
            made[at : at + chance.randint(0, 3)] = chance.choice(NOISES) * chance.randint(0, 2)
        yield bytes(made)


def is_ours(heard: bytes) -> bool:
    """Whether all that was heard are answers in one of our envelopes (or a page of ours), without what was sent."""
    lowered = heard.lower()
    if CANARY in lowered or b"aiohttp" in lowered or b"traceback" in lowered or b"python" in lowered:
        return False
    rest = heard
    while rest:
        head, separator, rest = rest.partition(b"\r\n\r\n")
        if not separator or not re.match(rb"HTTP/\d\.\d \d{3} ", head):
            return False
        if head.split()[1] == b"100":
            continue
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        size = int(length.group(1)) if length else 0
        body, rest = rest[:size], rest[size:]
        if int(head.split()[1]) >= 400 and "error" not in json.loads(body):
            return False
    return True


async def test_nothing_malformed_gets_anything_but_an_answer_of_ours_on_any_port(
    postgres_dsn: str, redis_url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with every_port(postgres_dsn, redis_url, tmp_path) as (ports, tracking):
        cases = [(port, noise) for port in ports for noise in (*TABLE, *mutations(port.number, 40))]
        turns = asyncio.Semaphore(100)

        async def tried(port: Port, noise: bytes) -> bytes:
            async with turns:
                return await heard_of(port, says(noise, half_closes=True))

        for (port, noise), heard in zip(cases, await asyncio.gather(*(tried(*case) for case in cases)), strict=True):
            assert is_ours(heard), (port.name, noise[:300], heard)
            server = re.findall(rb"(?i)\r\nserver: ([^\r]*)", heard)
            assert set(server) <= {b"postmeter"}, (port.name, server)
    logged = "".join(capfd.readouterr()) + tracking.log.read_text()
    assert not [word for word in (CANARY.decode(), "aiohttp", "Traceback", "127.0.0.1") if word in logged], logged


async def test_a_version_that_has_other_request_lines_is_refused(
    postgres_dsn: str, redis_url: str, tmp_path: Path
) -> None:
    async with every_port(postgres_dsn, redis_url, tmp_path) as (ports, _):
        for port in ports:
            for version in (b"HTTP/0.9", b"HTTP/2.0"):
                heard = await heard_of(port, says(port.get.replace(b"HTTP/1.1", version, 1)))
                is_hit = b" /api/v1/track/" in port.get and heard.startswith(b"HTTP/1.1 200 ")  # never a broken image
                assert is_hit or heard.split()[1] == b"400", (port.name, heard)


async def test_a_proxy_s_absolute_target_is_its_path(postgres_dsn: str, redis_url: str, tmp_path: Path) -> None:
    """RFC 9112, 3.2.2; a click's URL byte for byte. Nothing is ever asked of the host that it names."""
    url = "https://shop.example/a?b=%20&c=://#d"
    message = new_message()
    token = KEYS.sign_click(WORKSPACE, message, url)
    click = f"{CLICK_PATH}{token}?url=https%3A%2F%2Fshop.example%2Fa%3Fb%3D%2520%26c%3D%3A%2F%2F%23d".encode()
    async with every_port(postgres_dsn, redis_url, tmp_path) as (ports, _):
        for port in ports:
            for base in (b"http://t", b"HTTPS://[::1]:8080"):
                asked = port.get.replace(b"GET /", b"GET " + base + b"/", 1)
                heard = await heard_of(port, says(asked, half_closes=True))
                if port.name == "query-service":  # what is sealed is sealed for the path as the gateway asks
                    continue
                assert b" 200 OK" in heard.partition(b"\r\n")[0], (port.name, base, heard)
        for port in ports[:4]:
            asked = b"GET http://t.example" + click + b" HTTP/1.1\r\nHost: t\r\n\r\n"
            heard = await heard_of(port, says(asked, half_closes=True))
            assert f"\r\nLocation: {url}\r\n".encode() in heard, (port.name, heard)
    assert [hit.url for hit in hits_of(redis_url, message)] == [url] * 4


async def test_the_client_is_the_same_on_both_ports(postgres_dsn: str, redis_url: str, tmp_path: Path) -> None:
    """One setting for both; what the gateway vouches for is taken over, on every way to tracking-service."""
    async with every_port(postgres_dsn, redis_url, tmp_path, trusted_hops=1) as (ports, _):
        for port in ports[:3]:
            for forwarded, client in (
                (b"X-Forwarded-For: 6.6.6.6, 67.231.144.9:51234\r\n", "67.231.144.9"),
                (b'Forwarded: for=6.6.6.6, for="[2001:db8::1]:443"\r\n', "2001:db8::1"),
                (b"X-Forwarded-For: 6.6.6.6, unknown\r\n", "127.0.0.1"),
                (b"Postmeter-Client: 6.6.6.6\r\n", "127.0.0.1"),
            ):
                message = new_message()
                for method in ("GET", "HEAD"):
                    open_ = f"{method} {open_target(message)} HTTP/1.1\r\nHost: t\r\n".encode()
                    await heard_of(port, says(open_ + forwarded + b"\r\n", half_closes=True))
                token = KEYS.sign_unsubscribe(WORKSPACE, message)
                leave = f"POST /api/v1/track/unsubscribe/{token} HTTP/1.1\r\nHost: t\r\nContent-Length: 26\r\n"
                left = leave.encode() + forwarded + b"\r\nList-Unsubscribe=One-Click"
                heard = await heard_of(port, says(left, half_closes=True))
                assert b" 200 OK" in heard.partition(b"\r\n")[0], (port.name, heard)
                heeded = [one for one in once(redis_url) if isinstance(one, Hit | Event)]
                found = [one.ip for one in heeded if one.message == message]
                assert found == [client] * 2, (port.name, forwarded)


def cookies(size: int, count: int) -> bytes:
    """Headers of so many bytes together, with their ends."""
    sizes = [size // count] * (count - 1) + [size - size // count * (count - 1)]
    return b"".join(b"Cookie: " + b"c" * (one - len(b"Cookie: \r\n")) + b"\r\n" for one in sizes)


async def test_headers_are_bounded_alike_on_every_public_port(
    postgres_dsn: str, redis_url: str, tmp_path: Path
) -> None:
    async with every_port(postgres_dsn, redis_url, tmp_path) as (ports, _):
        for port in ports[:4]:
            head = port.get[:-2]
            room = refusals.FIELDS_LIMIT - (len(head) - head.index(b"\n") - 1)
            for size, status in ((48 * 1024, b"200"), (room - 8, b"200"), (room + 8, b"431"), (64 * 1024, b"431")):
                for count in (1, 8):
                    heard = await heard_of(port, says(head + cookies(size, count) + b"\r\n", half_closes=True))
                    assert heard.split()[1] == status, (port.name, size - room, count, heard[:200])


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/a?b", "/a?b"),
        ("http://h/a?b=http://c", "/a?b=http://c"),
        ("http://h", "/"),
        ("http://h?x=/", "/?x=/"),
        ("HTTPS://u@h:1/%2F//", "/%2F//"),
        ("*", "*"),
        ("h:443", "h:443"),
        ("ftp://h/a", "ftp://h/a"),
        ("/x://y", "/x://y"),
    ],
)
def test_the_origin_form_of_a_target(target: str, path: str) -> None:
    assert refusals.origin_form(target) == path
