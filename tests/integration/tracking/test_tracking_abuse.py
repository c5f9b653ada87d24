"""Bad input on the tracking URLs, by its number in the project's list of abuse cases, against the real service."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest

from postmeter.shared.apis.documents.vectis import CLICK_PATH, OPEN_PATH
from postmeter.shared.errors import DestinationRefused
from postmeter.shared.links import destination
from postmeter.shared.links.hits import GIF
from postmeter.shared.stream.events import Mark
from tests.integration.tracking_service import (
    FOREIGN_KEYS,
    KEYS,
    OLD_KEYS,
    UNKNOWN_KEYS,
    WORKSPACE,
    Service,
    click_target,
    hits_of,
    honeypot_target,
    new_message,
    open_target,
)

URL = "https://shop.example/a?b=c&d=e+f%20g#part"
MESSAGE = new_message()
OPEN_TOKEN = KEYS.sign_open(WORKSPACE, MESSAGE)
CLICK_TOKEN = KEYS.sign_click(WORKSPACE, MESSAGE, URL)
HONEYPOT_TOKEN = KEYS.sign_honeypot(WORKSPACE, MESSAGE, URL)


@pytest.fixture(scope="module", params=["fast", "taken-over"])
def service(
    request: pytest.FixtureRequest, redis_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """The service, asked by way of the fast protocol, or on connections that aiohttp has taken over."""
    folder: Path = tmp_path_factory.mktemp("tracking")
    running = Service(redis_server, folder / "spool", max_connections=40)
    if request.param == "taken-over":
        running.preface = b"GET /elsewhere HTTP/1.1\r\nHost: t\r\n\r\n"
    yield running
    assert running.terminate() == 0


def flipped(token: str, position: int) -> str:
    return token[:position] + ("A" if token[position] != "A" else "B") + token[position + 1 :]


BAD_TOKENS = {
    "1-truncated": (OPEN_TOKEN[:-4], CLICK_TOKEN[:-4], "malformed"),
    "1-bit-flipped": (flipped(OPEN_TOKEN, 20), flipped(CLICK_TOKEN, 20), "signature"),
    "1-empty": ("", "", "malformed"),
    "1-10KB": ("A" * 10_240, "A" * 10_240, "malformed"),
    "2-other-deployment": (
        FOREIGN_KEYS.sign_open(WORKSPACE, MESSAGE),
        FOREIGN_KEYS.sign_click(WORKSPACE, MESSAGE, URL),
        "signature",
    ),
    "2-unknown-key": (
        UNKNOWN_KEYS.sign_open(WORKSPACE, MESSAGE),
        UNKNOWN_KEYS.sign_click(WORKSPACE, MESSAGE, URL),
        "unknown_key",
    ),
    "3-version": ("Ag" + OPEN_TOKEN[2:], "Ag" + CLICK_TOKEN[2:], "version"),
    "3-empty-mac": (OPEN_TOKEN[:31], CLICK_TOKEN[:31], "malformed"),
    "3-zero-mac": (OPEN_TOKEN[:32] + "A" * 16, CLICK_TOKEN[:32] + "A" * 16, "signature"),
    "4-padding": (OPEN_TOKEN[:-1] + "=", CLICK_TOKEN[:-1] + "=", "malformed"),
    "4-standard-alphabet": (OPEN_TOKEN[:-1] + "+", CLICK_TOKEN[:-1] + "+", "malformed"),
    "4-not-ascii": (OPEN_TOKEN[:-3] + "%C3", CLICK_TOKEN[:-3] + "%C3", "malformed"),
    "5-other-purpose": (CLICK_TOKEN, OPEN_TOKEN, "purpose"),
    "5-another-purpose": (HONEYPOT_TOKEN, KEYS.sign_unsubscribe(WORKSPACE, MESSAGE), "purpose"),
    # The fourth character holds the purpose.
    "5-purpose-changed": (
        CLICK_TOKEN[:3] + OPEN_TOKEN[3] + CLICK_TOKEN[4:],
        HONEYPOT_TOKEN[:3] + CLICK_TOKEN[3] + HONEYPOT_TOKEN[4:],
        "signature",
    ),
}


@pytest.mark.parametrize(("token", "reason"), [(o, r) for o, _, r in BAD_TOKENS.values()], ids=list(BAD_TOKENS))
def test_open_with_a_bad_token_still_gets_the_pixel(service: Service, token: str, reason: str) -> None:
    before = service.dropped(reason)
    reply = service.get(OPEN_PATH + token)
    assert (reply.status, reply.body) == (200, GIF)
    assert "no-store" in reply.headers["cache-control"]
    assert service.dropped(reason) == before + 1
    assert hits_of(service.redis_url, MESSAGE) == []


@pytest.mark.parametrize(("token", "reason"), [(c, r) for _, c, r in BAD_TOKENS.values()], ids=list(BAD_TOKENS))
def test_click_with_a_bad_token_redirects_nowhere(service: Service, token: str, reason: str) -> None:
    before = service.dropped(reason)
    reply = service.get(f"{CLICK_PATH}{token}?url={quote(URL, safe='')}")
    assert reply.status == 404
    assert "location" not in reply.headers
    assert b"<h1>" in reply.body
    assert service.dropped(reason) == before + 1
    assert hits_of(service.redis_url, MESSAGE) == []


def test_6_a_token_of_a_rotated_key_is_good_while_the_key_is_in_the_ring(service: Service) -> None:
    message = new_message()
    assert service.get(open_target(message, OLD_KEYS)).body == GIF
    reply = service.get(click_target(message, URL, f"url={quote(URL, safe='')}", OLD_KEYS))
    assert reply.headers["location"] == URL
    assert [hit.url for hit in hits_of(service.redis_url, message)] in (["", URL], [URL, ""])


ENCODED = quote(URL, safe="")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        pytest.param(f"url={quote(URL + 'x', safe='')}", 404, id="7-altered"),
        pytest.param("", 404, id="7-missing"),
        pytest.param("url=", 404, id="7-empty"),
        pytest.param("URL=" + ENCODED, 404, id="7-other-name"),
        pytest.param(f"url={ENCODED}&url={ENCODED}", 404, id="7-doubled"),
        pytest.param(f"url={ENCODED}&%75rl=https%3A%2F%2Fevil.example", 404, id="7-added-under-an-escaped-name"),
        pytest.param(f"url=https%3A%2F%2Fevil.example&url={ENCODED}", 404, id="7-added-before"),
        pytest.param(f"url={ENCODED}%00", 400, id="13-nul"),
        pytest.param("url=https%3A%2F%2Fshop.example%2F%C0%AF", 400, id="16-overlong"),
        pytest.param("url=https%3A%2F%2Fshop.example%2F%ED%A0%80", 400, id="16-lone-surrogate"),
        pytest.param("url=https%3A%2F%2Fshop.example%2F%FF", 400, id="16-no-utf8"),
    ],
)
def test_a_damaged_url_redirects_nowhere(service: Service, query: str, status: int) -> None:
    for token in (CLICK_TOKEN, HONEYPOT_TOKEN):
        reply = service.get(f"{CLICK_PATH}{token}?{query}")
        assert reply.status == status
        assert "location" not in reply.headers
    assert hits_of(service.redis_url, MESSAGE) == []


def test_what_others_append_is_passed_on_and_not_recorded(service: Service) -> None:
    message = new_message()
    target = click_target(message, URL, f"utm_source=x&url={ENCODED}&fbclid=%0d%0a1")
    arrived = "https://shop.example/a?b=c&d=e+f%20g&utm_source=x&fbclid=%0d%0a1#part"
    assert service.get(target).headers["location"] == arrived
    assert [hit.url for hit in hits_of(service.redis_url, message)] == [URL]


REFUSED = {
    "8-javascript": "javascript:alert(1)",
    "8-data": "data:text/html,<script>alert(1)</script>",
    "8-vbscript": "vbscript:x",
    "8-file": "file:///etc/passwd",
    "9-scheme-relative": "//evil.example",
    "9-backslash": "/\\evil.example",
    "9-backslashes": "https:\\\\evil.example",
    "9-no-slashes": "https:evil.example",
    "9-backslash-in-the-host": "https://good.example\\@evil.example",
    "10-userinfo": "https://good.example@evil.example/",
    "10-password": "https://good.example:x@evil.example/",
    "11-tab": "https://ev\til.example/",
    "11-newline": "https://evil.example/\nx",
    "11-leading-space": " https://evil.example/",
    "12-crlf": "https://evil.example/\r\nSet-Cookie: a=b",
    "13-nul": "https://evil.example/\0",
    "16-half-pair": "https://evil.example/\ud800",
    "17-too-long": "https://long.example/" + "a" * 8192,
}


@pytest.mark.parametrize("url", REFUSED.values(), ids=list(REFUSED))
def test_refused_when_the_link_is_signed(url: str) -> None:
    with pytest.raises(DestinationRefused):
        destination.location(url)


@pytest.mark.parametrize(
    "url", [url for name, url in REFUSED.items() if not name.startswith(("16", "17"))],
    ids=[name for name in REFUSED if not name.startswith(("16", "17"))],
)  # fmt: skip
def test_refused_again_when_redirecting(service: Service, url: str) -> None:
    message = new_message()
    reply = service.get(click_target(message, url, f"url={quote(url, safe='')}"))
    assert reply.status == (400 if "\0" in url else 404)
    assert not {"location", "set-cookie"} & reply.headers.keys()
    assert hits_of(service.redis_url, message) == []


@pytest.mark.parametrize(
    ("url", "location"),
    [
        pytest.param(URL, URL, id="14-ascii"),
        pytest.param("https://a.example/?x=%2520&y=100%&z=a+b#f%23", None, id="14-percent-and-plus"),
        pytest.param("https://a.example/%250d%250aSet-Cookie:x", None, id="12-doubly-encoded-crlf"),
        pytest.param("https://a.example/%0d%0aSet-Cookie:x", None, id="12-encoded-crlf"),
        pytest.param("https://a.example/gr%C3%BC%C3%9Fe", None, id="14-encoded-iri"),
        pytest.param("https://a.example/grüße?q=ü", "https://a.example/gr%C3%BC%C3%9Fe?q=%C3%BC", id="14-iri"),
        pytest.param("https://bücher.example/x", "https://xn--bcher-kva.example/x", id="14-idn"),
        pytest.param("https://evil\uff0eexample/", "https://evil.example/", id="15-full-width-dot"),
        pytest.param("https://\u0430pple.example/", "https://xn--pple-43d.example/", id="15-homoglyph"),
        pytest.param("HTTPS://A.example:8443", None, id="14-case-and-port"),
        pytest.param("http://[2001:db8::1]/", None, id="14-ipv6"),
        pytest.param("https://long.example/" + "a" * (8192 - 21), None, id="17-just-short-enough"),
    ],
)
def test_the_destination_is_what_the_sender_wrote(service: Service, url: str, location: str | None) -> None:
    message = new_message()
    destination.location(url)
    reply = service.get(click_target(message, url, f"url={quote(url, safe='')}"))
    assert (reply.status, reply.headers["location"]) == (302, location or url)
    assert reply.headers["cache-control"] == "no-store"
    assert [hit.url for hit in hits_of(service.redis_url, message)] == [url]


def request(target: str, *headers: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: t", *headers, "", ""]).encode("latin-1")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(request(f"{CLICK_PATH}{CLICK_TOKEN}?url={'a' * 65536}"), 414, id="18-long-query"),
        pytest.param(request("/v1/" + "a" * 65536), 414, id="18-long-path-elsewhere"),
        pytest.param(request(OPEN_PATH + OPEN_TOKEN, *[f"X-{n}: y" for n in range(1000)]), 431, id="19-many-headers"),
        pytest.param(request(OPEN_PATH + OPEN_TOKEN, "X: " + "y" * 65536), 431, id="19-big-header"),
        pytest.param(request("/nope", "X: " + "y" * 65536), 431, id="19-big-header-elsewhere"),
        pytest.param(
            request(OPEN_PATH + OPEN_TOKEN, "Content-Length: 3", "Transfer-Encoding: chunked"), 400, id="21-both"
        ),
        pytest.param(
            request("/v1/events", "Content-Length: 3", "Transfer-Encoding: chunked", method="POST"), 400, id="21-post"
        ),
        pytest.param(request(OPEN_PATH + OPEN_TOKEN, "Content-Length: 3", "Content-Length: 4"), 400, id="21-two"),
        pytest.param(request(OPEN_PATH + OPEN_TOKEN, "Content-Length: 3", "Content-Length: 3"), 400, id="21-same"),
        pytest.param(request(OPEN_PATH + OPEN_TOKEN, "X: a", " b"), 400, id="21-obs-fold"),
        pytest.param(request(OPEN_PATH + OPEN_TOKEN, "X : a"), 400, id="21-space-before-colon"),
        pytest.param(request(OPEN_PATH + OPEN_TOKEN, "X: a\0b"), 400, id="13-nul-in-a-header"),
        pytest.param(request(OPEN_PATH + OPEN_TOKEN + "\0"), 400, id="13-nul-in-the-path"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400, id="tls-hello"),
    ],
)
def test_bad_http_is_refused_and_the_connection_closed(service: Service, data: bytes, status: int) -> None:
    with closing(service.connect()) as wire:
        wire.send(data)
        assert wire.reply().status == status
        assert wire.ended()
    assert hits_of(service.redis_url, MESSAGE) == []


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/track/../track/open/TOKEN",
        OPEN_PATH + "../open/TOKEN",
        OPEN_PATH + "..",
        OPEN_PATH + "%2e%2e",
        "/api/v1/%2e%2e/v1/track/open/TOKEN",
        "//api/v1/track/open/TOKEN",
        "/api/v1/track//open/TOKEN",
        OPEN_PATH + "/TOKEN",
        "/api/v1/track/open",
        "/",
    ],
)
def test_25_other_spellings_of_a_path_do_not_exist(service: Service, path: str) -> None:
    reply = service.get(path.replace("TOKEN", OPEN_TOKEN))
    assert reply.status == 404
    assert reply.json()["error"]["code"] == "NOT_FOUND"
    assert hits_of(service.redis_url, MESSAGE) == []


def test_20_connections_are_bounded(service: Service) -> None:
    wires = [service.connect() for _ in range(40)]
    try:
        for wire in wires:
            wire.send(request(OPEN_PATH + "x"))
            assert wire.reply().status == 200
        with closing(service.connect()) as one_more:
            assert one_more.reply().status == 503
            assert one_more.ended()
    finally:
        for wire in wires:
            wire.close()


def test_22_x_forwarded_for_is_a_claim_without_trusted_hops(service: Service) -> None:
    message = new_message()
    service.get(open_target(message), "X-Forwarded-For: 203.0.113.9")
    assert [hit.ip for hit in hits_of(service.redis_url, message)] == ["127.0.0.1"]


def test_23_the_host_header_ends_up_nowhere(service: Service) -> None:
    body = {"from_address": "a@b.example", "to": "c@d.example", "html": f'<a href="{URL}">x</a>'}
    reply = service.post("/v1/messages", body, "X-Forwarded-Host: evil.example", host="evil.example")
    assert b"evil.example" not in reply.body
    assert reply.json()["data"]["open_url"].startswith("http://t.example.net/")


def test_24_head_of_a_pixel_is_answered_and_not_recorded(service: Service) -> None:
    message, dropped, recorded = new_message(), service.dropped("head"), service.recorded("open")
    pixel = service.get(open_target(message), method="HEAD")
    assert (pixel.status, pixel.headers["content-length"]) == (200, "43")
    assert service.dropped("head") == dropped + 1
    assert service.get(open_target(message)).status == 200  # the stream is being written
    assert [hit.mark for hit in hits_of(service.redis_url, message)] == [Mark.NONE]
    assert service.recorded("open") == recorded + 1


def test_24_head_of_a_click_is_recorded_as_such_and_is_not_a_click(service: Service) -> None:
    message, dropped = new_message(), service.dropped("head")
    before = [service.recorded(kind) for kind in ("click", "head")]
    target = click_target(message, URL, f"url={ENCODED}")
    heads = [service.get(target, f"User-Agent: {n}", method="HEAD") for n in range(2)]
    assert [(one.status, one.headers["location"]) for one in heads] == [(302, URL)] * 2
    assert {(hit.url, hit.user_agent, hit.mark) for hit in hits_of(service.redis_url, message)} == {
        (URL, b"0", Mark.HEAD),
        (URL, b"1", Mark.HEAD),
    }
    assert service.get(target).headers["location"] == URL
    assert sorted(hit.mark for hit in hits_of(service.redis_url, message)) == [Mark.NONE, Mark.HEAD, Mark.HEAD]
    assert [service.recorded(kind) for kind in ("click", "head")] == [before[0] + 1, before[1] + 2]
    assert service.dropped("head") == dropped


def test_24_head_of_a_refused_click_is_refused_as_get_is(service: Service) -> None:
    reply = service.get(f"{CLICK_PATH}{CLICK_TOKEN}?url={quote(URL + 'x', safe='')}", method="HEAD")
    assert reply.status == 404
    assert "location" not in reply.headers
    assert hits_of(service.redis_url, MESSAGE) == []


@pytest.mark.parametrize(("method", "mark"), [("GET", Mark.HONEYPOT), ("HEAD", Mark.HEAD)])
def test_whoever_follows_the_honeypot_arrives_and_is_marked(service: Service, method: str, mark: Mark) -> None:
    message = new_message()
    reply = service.get(honeypot_target(message, URL, f"url={ENCODED}"), method=method)
    assert (reply.status, reply.headers["location"]) == (302, URL)
    assert [(hit.url, hit.mark) for hit in hits_of(service.redis_url, message)] == [(URL, mark)]


@pytest.mark.parametrize(
    "header", ["Purpose: prefetch", "Sec-Purpose: prefetch;prerender", "X-Purpose: preview", "X-Moz: prefetch"]
)
def test_24_prefetch_headers_are_recorded(service: Service, header: str) -> None:
    message = new_message()
    assert service.get(open_target(message), header).body == GIF
    assert service.get(open_target(message), "Purpose: reading").body == GIF
    assert sorted(hit.prefetch for hit in hits_of(service.redis_url, message)) == [False, True]


def test_50_a_long_user_agent_is_truncated(service: Service) -> None:
    message = new_message()
    service.get(open_target(message), "User-Agent: " + "x" * 10_240)
    assert [hit.user_agent for hit in hits_of(service.redis_url, message)] == [b"x" * 512]
