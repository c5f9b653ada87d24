"""Requests that are not as RFC 9112 has them: a reader arrives all the same, and nothing is hidden in a request."""

import asyncio
import random
import re
from collections import Counter
from pathlib import Path
from urllib.parse import quote

import pytest

from postmeter.shared.apis.documents.vectis import CLICK_PATH
from postmeter.shared.links.hits import GIF
from tests.integration.every_port import Port, every_port
from tests.integration.misbehaving_clients import answer, connect, heard_of, says
from tests.integration.tracking_service import KEYS, WORKSPACE, hits_of, new_message, open_target

URL = "https://shop.example/a?b=%20c#d"
ENDS = (b"\r", b"\n", b"\0")
NAMED = (
    "&utm_campaign=frühling".encode(),
    b"&x=\xff",
    b"&x=fr\xfchling",
    b"&x=a b  c",
    b"&x=\t\x0b\x0c\x01\x7f",
    b"&x= HTTP/1.1 ",
    b'&x="<>^`{|}\\',
    b"&x=%&%zz#\xc3\xbc?",
    b"&x=a\0b",
    b"&x=a\rb",
    b"&x=a\nb",
    b"&x=" + "ü".encode() * 4000,
)
"""The last one takes 24,000 bytes when it is encoded."""


def noises(seed: int, count: int) -> list[bytes]:
    chance = random.Random(seed)
    return [b"&" + bytes(chance.randrange(256) for _ in range(chance.randint(1, 12))) for _ in range(count)]


def statuses(heard: bytes) -> list[bytes]:
    """Of all answers."""
    return re.findall(rb"HTTP/1\.[01] (\d{3}) ", heard)


def is_last_refusal(heard: bytes) -> bool:
    """Whether all that was heard is one 400, which says that the connection ends."""
    head = heard.partition(b"\r\n\r\n")[0].lower()
    ends = b"\r\nconnection: close" in head or (head.startswith(b"http/1.0 ") and b"\r\nconnection:" not in head)
    return statuses(heard) == [b"400"] and ends


async def heard_in_turn(port: Port, *requests: bytes) -> list[int]:
    """The statuses of requests on one connection; an empty one only waits. The first comes byte by byte."""
    reader, writer = await connect(port)
    found = []
    for place, request in enumerate(requests):
        for piece in [request] if place else [bytes([byte]) for byte in request]:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        found.append((await answer(reader))[0])
    writer.close()
    return found


async def test_a_reader_arrives_whatever_stands_in_the_query(postgres_dsn: str, redis_url: str, tmp_path: Path) -> None:
    message = new_message()
    url = f"url={quote(URL, safe='')}".encode()
    click = f"{CLICK_PATH}{KEYS.sign_click(WORKSPACE, message, URL)}?".encode()
    pixel = f"{open_target(message)}?x".encode()
    ends = b" HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
    clicks = opens = 0
    async with every_port(postgres_dsn, redis_url, tmp_path) as (ports, _):
        cases = [(port, noise) for port in ports[:4] for noise in (*NAMED, *noises(port.number, 40))]

        turns = asyncio.Semaphore(40)

        async def tried(port: Port, noise: bytes) -> list[bytes]:
            before = noise[1:] + b"&" + url
            lines = (b"GET " + pixel + noise, b"GET " + click + url + noise, b"GET http://t" + click + before)
            async with turns:
                return [await heard_of(port, says(line + ends)) for line in lines]

        for (port, noise), heard in zip(cases, await asyncio.gather(*(tried(*case) for case in cases)), strict=True):
            told = (port.name, noise[:100], heard)
            assert [len(statuses(one)) for one in heard] == [1] * 3, told
            if any(end in noise for end in ENDS):
                assert all(map(is_last_refusal, heard)), told
                continue
            assert heard[0].startswith(b"HTTP/1.1 200 OK\r\n"), told
            assert heard[0].endswith(b"\r\n\r\n" + GIF), told
            assert all(one.startswith(b"HTTP/1.1 302 Found\r\n") for one in heard[1:]), told
            assert all(b"\r\nLocation: https://shop.example/a?b=%20c" in one for one in heard[1:]), told
            opens, clicks = opens + 1, clicks + 2
        odd = b"GET " + pixel + "ü a".encode() + b" HTTP/1.1\r\nHost: t\r\n\r\n"
        other = b"POST /elsewhere HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nGET / \xff\r\n"
        for port in ports[:4]:
            assert await heard_in_turn(port, odd, other, odd, odd * 2, b"") == [200, 404, 200, 200, 200]
            opens += 4
            longer = b"GET " + pixel + "ü".encode() * 6000 + ends
            assert statuses(await heard_of(port, says(longer))) == [b"414"], port.name
        for port in ports:
            assert await heard_in_turn(port, b"GET /n\xc3\xb6\xff HTTP/1.1\r\nHost: t\r\n\r\n") == [404], port.name
            # Elsewhere a blank may hide something from a filter before us.
            assert is_last_refusal(await heard_of(port, says(b"GET /a b HTTP/1.1\r\nHost: t\r\n\r\n"))), port.name
    found = Counter(hit.url for hit in hits_of(redis_url, message))
    assert found == {"": opens, URL: clicks}


CHUNKED = b"Transfer-Encoding: chunked\r\n"
MISFRAMED = {
    "both lengths": CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n",
    "both lengths, the other first": b"Content-Length: 5\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "the same length twice": b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "a list of lengths": b"Content-Length: 0, 0\r\n\r\n",
    "a length with a sign": b"Content-Length: +0\r\n\r\n",
    "a negative length": b"Content-Length: -1\r\n\r\n",
    "a hexadecimal length": b"Content-Length: 0x0\r\n\r\n",
    "a length with a blank inside": b"Content-Length: 0 0\r\n\r\n",
    "a length without digits": b"Content-Length: \r\n\r\n",
    "a length beyond all numbers": b"Content-Length: " + b"9" * 30 + b"\r\n\r\n",
    "an unknown coding": b"Transfer-Encoding: gzip\r\n\r\n",
    "a coding before chunked": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a coding before chunked, in two headers": b"Transfer-Encoding: gzip\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "a coding behind chunked": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked twice": b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice, in two headers": CHUNKED * 2 + b"\r\n0\r\n\r\n",
    "a misspelt coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a coding with a parameter": b"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
    "an empty coding": b"Transfer-Encoding: \r\n\r\n",
    "a folded header": b"X: a\r\n b\r\n\r\n",
    "a folded coding": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a NUL in a header": b"X: a\0b\r\n\r\n",
    "a CR in a header": b"X: a\rb\r\n\r\n",
    "a name with a blank": b"X Y: a\r\n\r\n",
    "a blank before the colon": b"Content-Length : 0\r\n\r\n",
    "a header without a name": b": a\r\n\r\n",
    "a header without a colon": b"X\r\n\r\n",
    "a header beyond ASCII": b"\xff: a\r\n\r\n",
    "a chunk of no size": CHUNKED + b"\r\nx\r\n\r\n",
    "a chunk with a sign": CHUNKED + b"\r\n+1\r\na\r\n0\r\n\r\n",
    "a hexadecimal chunk": CHUNKED + b"\r\n0x1\r\na\r\n0\r\n\r\n",
    "a chunk longer than told": CHUNKED + b"\r\n1\r\nab\r\n0\r\n\r\n",
    "a chunk that ends with LF": CHUNKED + b"\r\n1\na\n0\n\n",
    "LF in place of CRLF": b"X: a\n\n",
    "LF behind one header": b"X: a\nY: b\r\n\r\n",
    "LF at the end": b"X: a\r\n\n",
}
"""What comes behind a request's first headers. Another request follows each."""
OF_AN_OLD_CLIENT = b"Connection: keep-alive\r\n" + CHUNKED + b"\r\n0\r\n\r\n"
"""Of HTTP/1.0, which has no codings (RFC 9112, 6.1)."""


async def test_whatever_is_framed_in_an_odd_way_is_refused_alike_and_hides_nothing(
    postgres_dsn: str, redis_url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with every_port(postgres_dsn, redis_url, tmp_path) as (ports, tracking):
        cases = [(port, name, kind) for port in ports for name in MISFRAMED for kind in ("get", "post")]
        cases += [(port, name, "alone") for port in ports for name in MISFRAMED if name.startswith("LF")]
        cases += [(port, "a coding", "old") for port in ports]
        turns = asyncio.Semaphore(40)

        async def tried(port: Port, name: str, kind: str) -> bytes:
            sent = (port.post if kind == "post" else port.get[:-2]) + MISFRAMED.get(name, OF_AN_OLD_CLIENT)
            if kind == "old":
                sent = sent.replace(b"HTTP/1.1", b"HTTP/1.0")
            async with turns:
                return await heard_of(port, says(sent if kind == "alone" else sent + port.get))

        for case, heard in zip(cases, await asyncio.gather(*(tried(*case) for case in cases)), strict=True):
            assert is_last_refusal(heard), (case[0].name, *case[1:], heard)
        for port in ports:  # what came before it in the same read is answered first
            heard = await heard_of(port, says(port.get * 3 + port.get[:-2] + b"X Y: a\r\n\r\n"))
            assert statuses(heard) == [b"200", b"200", b"200", b"400"], port.name
        refusing = [port for port in ports if port.name.startswith("gateway") or not port.reads]
        for port, rest in zip(refusing, await asyncio.gather(*map(after_a_refusal, refusing)), strict=True):
            assert rest == b"", port.name
    assert "a connection failed" not in "".join(capfd.readouterr()) + tracking.log.read_text()


async def after_a_refusal(port: Port) -> bytes:
    """What is said to a client that goes on with a body which was refused by its length, or has no use."""
    reader, writer = await connect(port)
    writer.write(port.post + b"Content-Length: %d\r\n\r\n" % (12 << 20))
    assert (await answer(reader))[0] in (404, 405, 413), port.name
    writer.write(b" " * 200_000)  # more than a head may have
    try:
        return await reader.read()
    finally:
        writer.close()
