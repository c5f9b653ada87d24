"""HTTP as clients really speak it: keep-alive, pipelining, mixed paths, bodies, proxies, a graceful stop."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest

from postmeter.shared.apis.documents.vectis import CLICK_PATH, OPEN_PATH
from postmeter.shared.links.hits import GIF
from postmeter.shared.stream.events import Mark
from tests.integration.tracking_service import (
    Service,
    click_target,
    hits_of,
    honeypot_target,
    new_message,
    once,
    open_target,
)
from tests.product import wait_for

URL = "https://shop.example/"


@pytest.fixture(scope="module")
def service(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("tracking")
    running = Service(redis_server, folder / "spool", trusted_hops=2)
    yield running
    assert running.terminate() == 0


def get(target: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: t", *headers, "", ""]).encode()


def test_a_connection_serves_many_requests(service: Service) -> None:
    message = new_message()
    with closing(service.connect()) as wire:
        for _ in range(3):
            wire.send(get(open_target(message)))
            assert wire.reply().body == GIF
    assert len(hits_of(service.redis_url, message)) == 3


def test_answers_keep_their_order_under_pipelining(service: Service) -> None:
    """A refused click is known at once, but must not overtake the pending open before it."""
    message = new_message()
    click = click_target(message, URL, f"url={quote(URL, safe='')}")
    refused = f"{CLICK_PATH}nonsense?url=x"
    rounds = 200
    with closing(service.connect()) as wire:
        wire.send((get(open_target(message)) + get(refused) + get(click) + get(OPEN_PATH + "x")) * rounds)
        statuses = [wire.reply().status for _ in range(4 * rounds)]
    assert statuses == [200, 404, 302, 200] * rounds
    assert len(hits_of(service.redis_url, message)) == 2 * rounds


@pytest.mark.parametrize("elsewhere", [None, 0, 700], ids=("hits", "taken over", "taken over meanwhile"))
def test_a_client_that_reads_nothing_is_not_read_from(service: Service, elsewhere: int | None) -> None:
    """Else its answers would fill the memory. All come when it reads, whoever gives them by then."""
    url = URL + "a" * 6000
    click, other = get(click_target(new_message(), url, f"url={quote(url, safe='')}")), get("/elsewhere")
    most = (64 << 20) // len(click)
    with closing(service.connect()) as wire:
        wire.socket.settimeout(1.0)
        sent = 0
        try:
            while sent < most:
                rest = other if sent == elsewhere else click
                while rest:
                    rest = rest[wire.socket.send(rest) :]
                sent += 1
        except TimeoutError:
            pass
        assert sent < most, "the service has read everything: nothing bounds its memory"
        wire.socket.settimeout(60.0)
        sender = threading.Thread(target=wire.send, args=(rest,))
        sender.start()
        statuses = [wire.reply().status for _ in range(sent + 1)]
        sender.join()
    assert statuses == [404 if number == elsewhere else 302 for number in range(sent + 1)]


def test_heads_and_gets_keep_their_order_under_pipelining(service: Service) -> None:
    """A HEAD of a click waits for its batch, that of a pixel waits for nothing but what came before it."""
    message, rounds = new_message(), 100
    query = f"url={quote(URL, safe='')}"
    click = get(click_target(message, URL, query))
    asked = [
        (click, 302),
        (b"HEAD" + click[3:], 302),
        (b"HEAD" + get(CLICK_PATH + "nonsense?url=x")[3:], 404),
        (b"HEAD" + get(honeypot_target(message, URL, query))[3:], 302),
        (get(open_target(message)), 200),
        (b"HEAD" + get(open_target(message))[3:], 200),
    ]
    with closing(service.connect()) as wire:
        wire.send(b"".join(request for request, _ in asked) * rounds)
        for request, status in asked * rounds:
            reply = wire.reply(head=request.startswith(b"HEAD"))
            assert (reply.status, reply.headers.get("location")) == (status, URL if status == 302 else None)
    marks = [hit.mark for hit in hits_of(service.redis_url, message) if hit.url]
    assert sorted(marks) == [mark for mark in (Mark.NONE, Mark.HEAD, Mark.HEAD) for _ in range(rounds)]


@pytest.mark.parametrize("rounds", [1, 50])
def test_a_client_that_has_said_everything_still_gets_its_answers(service: Service, rounds: int) -> None:
    message = new_message()
    with closing(service.connect()) as wire:
        wire.send((get(open_target(message)) + get(CLICK_PATH + "x?url=y")) * rounds)
        wire.say_no_more()
        assert [wire.reply().status for _ in range(2 * rounds)] == [200, 404] * rounds
        assert wire.ended()
    assert len(hits_of(service.redis_url, message)) == rounds


def test_half_a_request_before_the_end_is_not_a_request(service: Service) -> None:
    with closing(service.connect()) as wire:
        wire.send(get(OPEN_PATH + "x")[:-4])
        wire.say_no_more()
        assert wire.ended()


def test_a_connection_may_mix_tracking_urls_and_others(service: Service) -> None:
    message = new_message()
    click = click_target(message, URL, f"url={quote(URL, safe='')}")
    with closing(service.connect()) as wire:
        wire.send(get(open_target(message)) + get("/nope") + get(click) + get(CLICK_PATH + "x?url=y"))
        replies = [wire.reply() for _ in range(4)]
        assert [reply.status for reply in replies] == [200, 404, 302, 404]
        assert replies[2].headers["location"] == URL
        wire.send(get(open_target(message), "User-Agent: later", "X-Forwarded-For: 203.0.113.5, 10.0.0.2"))
        assert wire.reply().body == GIF
    hits = hits_of(service.redis_url, message)
    assert sorted((hit.url, hit.user_agent, hit.ip) for hit in hits) == [
        ("", b"", "127.0.0.1"),
        ("", b"later", "203.0.113.5"),
        (URL, b"", "127.0.0.1"),
    ]


def test_a_head_may_come_byte_by_byte(service: Service) -> None:
    message = new_message()
    with closing(service.connect()) as wire:
        for byte in b"\r\n" + get(open_target(message)):
            wire.send(bytes([byte]))
        assert wire.reply().body == GIF
    assert len(hits_of(service.redis_url, message)) == 1


@pytest.mark.parametrize(
    ("head", "body"),
    [
        pytest.param("Content-Length: 5", b"hello", id="length"),
        pytest.param("Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n", id="chunked"),
        pytest.param("Content-Length: 0", b"", id="empty"),
    ],
)
def test_a_get_with_a_body_is_answered_and_the_body_read(service: Service, head: str, body: bytes) -> None:
    message = new_message()
    with closing(service.connect()) as wire:
        wire.send(get(open_target(message), head) + body + get(open_target(message)))
        assert wire.reply().body == GIF
        assert wire.reply().body == GIF
    assert len(hits_of(service.redis_url, message)) == 2


@pytest.mark.parametrize("header", ["Expect: 100-continue", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c"])
def test_offers_that_mean_nothing_without_a_body_are_ignored(service: Service, header: str) -> None:
    message = new_message()
    with closing(service.connect()) as wire:
        for _ in range(2):
            wire.send(get(open_target(message), header))
            assert wire.reply().body == GIF
    assert len(hits_of(service.redis_url, message)) == 2


def test_expect_100_continue_before_a_write(service: Service) -> None:
    body = b'{"from_address": "a@b.example", "to": "c@d.example"}'
    head = [
        "POST /v1/messages HTTP/1.1",
        "Host: t",
        service.sealed("/v1/messages"),
        "Expect: 100-continue",
    ]
    with closing(service.connect()) as wire:
        wire.send("\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode())
        assert wire.reply().status == 100
        wire.send(body)
        assert wire.reply().status == 201


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1\r\nHost: t\r\nConnection: close"])
def test_a_connection_that_is_to_end_ends_after_the_answer(service: Service, version: str) -> None:
    message = new_message()
    with closing(service.connect()) as wire:
        wire.send(f"GET {open_target(message)} {version}\r\n\r\n".encode())
        reply = wire.reply()
        assert (reply.body, reply.headers["connection"]) == (GIF, "close")
        assert wire.ended()
    assert len(hits_of(service.redis_url, message)) == 1


def test_a_head_on_a_connection_that_is_to_end_is_recorded_before_its_answer(service: Service) -> None:
    message = new_message()
    head = b"HEAD" + get(click_target(message, URL, f"url={quote(URL, safe='')}"), "Connection: close")[3:]
    with closing(service.connect()) as wire:
        wire.send(head + head)
        reply = wire.reply(head=True)
        assert (reply.status, reply.headers["location"], reply.headers["connection"]) == (302, URL, "close")
        assert [hit.mark for hit in hits_of(service.redis_url, message)] == [Mark.HEAD]
        assert wire.ended()


def test_a_write_on_a_tracking_url_is_not_a_hit(service: Service) -> None:
    message = new_message()
    reply = service.get(open_target(message), "Content-Length: 0", method="POST")
    assert (reply.status, reply.json()["error"]["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert hits_of(service.redis_url, message) == []


@pytest.mark.parametrize(
    ("forwarded", "ip"),
    [
        pytest.param("203.0.113.5, 10.0.0.2", "203.0.113.5", id="as-many-as-hops"),
        pytest.param("6.6.6.6, 203.0.113.5, 10.0.0.2", "203.0.113.5", id="a-forged-one-before"),
        pytest.param("10.0.0.2", "10.0.0.2", id="fewer-than-hops"),
        pytest.param("nonsense, 10.0.0.2", "10.0.0.2", id="no-address"),
        pytest.param("2001:DB8::0001, 10.0.0.2", "2001:db8::1", id="ipv6"),
        pytest.param('67.231.144.9:51234, "10.0.0.2"', "67.231.144.9", id="port-and-quotes"),
        pytest.param("[2001:db8::1]:443, 10.0.0.2", "2001:db8::1", id="brackets"),
    ],
)
def test_22_only_the_trusted_hops_are_believed(service: Service, forwarded: str, ip: str) -> None:
    message = new_message()
    service.get(open_target(message), f"X-Forwarded-For: {forwarded}")
    assert [hit.ip for hit in hits_of(service.redis_url, message)] == [ip]


def test_the_newer_header_is_read_too(service: Service) -> None:
    message = new_message()
    service.get(
        open_target(message),
        'Forwarded: for=6.6.6.6, For="[2001:db8::1]:443";proto=https',
        "Forwarded: for=10.0.0.2",
    )
    assert [hit.ip for hit in hits_of(service.redis_url, message)] == ["2001:db8::1"]


def test_a_forged_word_of_the_gateway_s_is_not_there(service: Service) -> None:
    for value in ("", "x", "2.x.y", "\xff"):
        message = new_message()
        service.get(open_target(message), f"Postmeter-Client: {value}")
        assert [hit.ip for hit in hits_of(service.redis_url, message)] == ["127.0.0.1"]


def test_several_forwarded_headers_are_one_list(service: Service) -> None:
    message = new_message()
    service.get(open_target(message), "X-Forwarded-For: 6.6.6.6, 203.0.113.5", "X-Forwarded-For: 10.0.0.2")
    assert [hit.ip for hit in hits_of(service.redis_url, message)] == ["203.0.113.5"]


def test_a_client_that_leaves_before_the_answer_hurts_nobody(service: Service) -> None:
    message = new_message()
    for _ in range(50):
        with closing(service.connect()) as wire:
            wire.send(get(open_target(message)))
    wait_for("the hits", lambda: len(hits_of(service.redis_url, message)) == 50)
    assert service.get(open_target(message)).body == GIF


def test_sigterm_answers_what_it_has_taken(redis_server: str, tmp_path: Path) -> None:
    """Every answer that a client has got is recorded, and nothing else of the ones in doubt is lost half-way."""
    service = Service(redis_server, tmp_path / "spool")
    message = new_message()
    answered = []

    def visit() -> None:
        with closing(service.connect()) as wire:
            try:
                while True:
                    wire.send(get(open_target(message)))
                    assert wire.reply().body == GIF
                    answered.append(1)
            except (AssertionError, OSError):
                return

    visitors = [threading.Thread(target=visit) for _ in range(8)]
    for visitor in visitors:
        visitor.start()
    wait_for("traffic", lambda: len(answered) > 200)
    assert service.terminate() == 0
    for visitor in visitors:
        visitor.join()
    recorded = len(hits_of(redis_server, message))
    assert len(answered) <= recorded <= len(answered) + len(visitors)
    assert not list((tmp_path / "spool").glob("*/*.segment"))


def test_two_processes_share_the_port_if_both_are_told_to(redis_server: str, tmp_path: Path) -> None:
    first = Service(redis_server, tmp_path / "spool", reuse_port="true")
    second = Service(redis_server, tmp_path / "spool", port=first.port, reuse_port="true")
    message = new_message()
    try:
        for _ in range(40):
            assert first.get(open_target(message)).body == GIF
        counts = [one.metric("postmeter_hits_total", '{kind="open"}') for one in (first, second)]
        assert sum(counts) == 40
        assert min(counts) > 0
    finally:
        assert first.terminate() == 0
        assert second.terminate() == 0
    assert len(once(redis_server)) >= 40


def test_a_port_is_not_shared_by_accident(service: Service, redis_server: str, tmp_path: Path) -> None:
    """Not even by a service that would share: each of them must be told to."""
    for reuse in ("false", "true"):
        with pytest.raises(AssertionError, match=f"cannot listen on 127.0.0.1 port {service.port} .*POSTMETER_PORT"):
            Service(redis_server, tmp_path / f"spool-{reuse}", port=service.port, reuse_port=reuse)
    assert service.get(open_target(new_message())).status == 200
