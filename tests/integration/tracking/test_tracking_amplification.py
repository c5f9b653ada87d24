"""What a small request can make large: each answer and each registration's memory has a bound that is told by field."""

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from postmeter.shared.apis.mail import webhooks
from postmeter.shared.auth import sealed
from postmeter.shared.http import bodies
from postmeter.shared.links.hits import GIF
from postmeter.shared.storage import sources
from postmeter.tracking.html.scanner import MAX_LINKS, MAX_PIECES
from postmeter.tracking.writes import event_batch, messages
from tests import sealing
from tests.integration.tracking_service import WORKSPACE, Reply, Service, new_message, open_target

MAIL = {"from_address": "a@b.example", "to": "c@d.example"}


@pytest.fixture(scope="module")
def service(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(redis_server, tmp_path_factory.mktemp("tracking") / "spool")
    yield running
    assert running.terminate() == 0


def links(count: int) -> str:
    return "".join(f'<a href="http://e.example/{number}">x</a>' for number in range(count))


def test_too_many_links_are_refused_by_field_alone_and_in_a_list(service: Service) -> None:
    most = service.post("/v1/messages", {**MAIL, "html": links(MAX_LINKS)})
    assert most.status == 201
    assert len(most.json()["data"]["links"]) == MAX_LINKS
    # Whatever they are: those that are not tracked cost the work of looking at them.
    for html in (links(MAX_LINKS + 1), "<a href=#x>" * (MAX_LINKS + 1), "<v:rect href=mailto:a@b.example>" * 100_000):
        refused = service.post("/v1/messages", {**MAIL, "html": html})
        assert refused.status == 400
        error = refused.json()["error"]
        assert (error["code"], error["field"]) == ("TOO_MANY_LINKS", "html")
        assert str(MAX_LINKS) in error["message"]
    mixed = service.post(
        "/v1/messages", {"messages": [MAIL, {**MAIL, "html": links(MAX_LINKS + 1)}, {**MAIL, "html": links(3)}]}
    ).json()
    assert len(mixed["data"]) == 2
    assert [(one["index"], one["code"], one["field"]) for one in mixed["rejected"]] == [(1, "TOO_MANY_LINKS", "html")]
    alone = service.post("/v1/messages", {"messages": [{**MAIL, "html": links(MAX_LINKS + 1)}]}).json()
    assert alone["error"]["field"] == "messages[0].html"


def test_a_mail_has_a_size(service: Service) -> None:
    most = service.post("/v1/messages", {**MAIL, "html": "x" * messages.MAX_HTML})
    assert most.status == 201
    refused = service.post("/v1/messages", {**MAIL, "html": "x" * (messages.MAX_HTML + 1)})
    assert (refused.status, refused.json()["error"]["field"]) == (413, "html")
    assert str(messages.MAX_HTML) in refused.json()["error"]["message"]


def test_a_mail_has_so_much_markup(service: Service) -> None:
    """To read a piece of it takes microseconds, and five megabytes of nothing else ten seconds."""
    assert service.post("/v1/messages", {**MAIL, "html": "<br>" * MAX_PIECES}).status == 201
    referring = f'<a href="http://e.example/{"&amp;" * MAX_PIECES}">x</a>'
    for html in ("<br>" * (MAX_PIECES + 1), "<br " + "a=b " * MAX_PIECES, "<!---->" * (MAX_PIECES + 1), referring):
        refused = service.post("/v1/messages", {**MAIL, "html": html})
        assert (refused.status, refused.json()["error"]["field"]) == (413, "html")
        assert str(MAX_PIECES) in refused.json()["error"]["message"]


def peak_bytes(service: Service) -> int:
    return memory_bytes(service, "VmHWM")


def memory_bytes(service: Service, which: str = "VmRSS") -> int:
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith(which))


def test_an_answer_has_a_size_and_what_does_not_fit_is_told_and_not_registered(service: Service) -> None:
    """Each byte of an umlaut becomes three, in the mail and in the list of its links."""
    html = "".join(f'<a href="http://e.example/{number}{"ä" * 1000}">x</a>' for number in range(900))
    count = 8
    before, registered = peak_bytes(service), service.metric("postmeter_messages_total")
    body = json.dumps({"messages": [{**MAIL, "html": html}] * count}, ensure_ascii=False).encode()
    reply = service.post("/v1/messages", body)
    answer = reply.json()
    assert reply.status == 201
    assert 0 < len(answer["rejected"]) < count
    assert len(answer["data"]) + len(answer["rejected"]) == count
    assert {(one["code"], one["field"]) for one in answer["rejected"]} == {("PAYLOAD_TOO_LARGE", "html")}
    assert len(reply.body) < messages.MAX_ANSWER + 10_000
    assert service.metric("postmeter_messages_total") - registered == len(answer["data"])
    # The body, the answer twice while it is put together, and one mail in the making.
    assert peak_bytes(service) - before < 4 * messages.MAX_ANSWER


def test_a_list_of_millions_is_refused_before_it_is_held(service: Service) -> None:
    before = peak_bytes(service)
    for path, name, most in (("/v1/events", "events", 8 << 20), ("/v1/messages", "messages", 16 << 20)):
        for value in ("1", '{"type":"sent","id":"\\",\\""}'):
            body = f'{{"{name}":[{value}'.encode()
            body += f",{value}".encode() * ((most - 100) // (len(value) + 1)) + b"]}"
            refused = service.post(path, body)
            assert (refused.status, refused.json()["error"]["code"]) == (400, "TOO_MANY_ITEMS"), (path, value)
            assert refused.json()["error"]["field"] == name
    assert peak_bytes(service) - before < 200 << 20  # three to four such bodies; a list of them is 600
    # Within a text they do not matter.
    commas = "a, b, c, " * 200_000
    assert service.post("/v1/messages", {"messages": [{**MAIL, "html": commas}]}).status == 201


def test_once_a_mail_found_no_room_no_other_is_read_but_one_too_large_for_any_answer_is_only_itself(
    service: Service,
) -> None:
    def mail(letters: int) -> dict[str, str]:
        return {**MAIL, "html": f'<a href="http://e.example/{"ä" * letters}">x</a>' * 500}

    def rejected(*mails: dict[str, str]) -> list[int]:
        body = json.dumps({"messages": mails}, ensure_ascii=False).encode()
        return [one["index"] for one in service.post("/v1/messages", body).json()["rejected"]]

    # Each is answered with some 9 MB, and a body takes 16 MiB: the fourth finds no room, the small one would.
    assert rejected(*[mail(3000)] * 4, {**MAIL, "html": "<p>"}, MAIL) == [3, 4]
    alone = "".join(f'<a href="http://e.example/{number}{"ä" * 2600}">x</a>' for number in range(990))
    assert rejected({**MAIL, "html": alone}, {**MAIL, "html": "<p>"}) == [0]


def test_of_a_tag_s_attributes_the_first_ones_say_what_its_link_is(service: Service) -> None:
    many = " ".join(f"a{number}=1" for number in range(40_000))
    html = f'<a data-skip-click {many} href="http://e.example/1">x</a><a {many} href="http://e.example/2">x</a>'
    answer = service.post("/v1/messages", {**MAIL, "html": html})
    assert [one["url"] for one in answer.json()["data"]["links"]] == ["http://e.example/2"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"x": "%b"}', 400),
        (b'{"from_address": "a@b.example", "to": "c@d.example", "html": "%b"}', 413),
        (b'{"messages": [{"from_address": "a@b.example", "to": "c@d.example", "html": "%b"}]}', 413),
    ],
    ids=["as a whole", "for a mail", "for a mail of a list"],
)
def test_a_large_body_is_gone_once_it_is_refused(service: Service, body: bytes, status: int) -> None:
    """Not when the garbage collector next looks at all there is: until then a hundred may have come."""
    large = body % (b"y" * (15 << 20))
    assert service.post("/v1/messages", large).status == status
    before = memory_bytes(service)
    for _ in range(8):
        assert service.post("/v1/messages", large).status == status
    assert memory_bytes(service) - before < 60 << 20


def test_large_registrations_take_turns_and_nothing_else_waits_for_them(service: Service) -> None:
    """Two of a workspace stop within large bodies: a third is told to come again, all else goes on."""
    large = {**MAIL, "html": "x" * 400_000}
    head = ["POST /v1/messages HTTP/1.1", "Host: t", f"Content-Length: {1 << 20}"]
    small = gzip.compress(json.dumps({**MAIL, "html": links(10)}).encode())
    slow = [service.connect() for _ in range(2)]
    try:
        for wire in slow:
            wire.send("\r\n".join([*head, service.sealed("/v1/messages"), "", "{"]).encode())
        assert service.post("/v1/messages", large).status == 201  # not large yet
        for wire in slow:
            wire.send(b" " * (bodies.LARGE + 1))
        refused = until_refused(service, "/v1/messages", large)
        assert refused.json()["error"]["code"] == "UNAVAILABLE"
        assert refused.headers["retry-after"] == "1"
        assert service.get(open_target(new_message())).body == GIF
        assert service.post("/v1/messages", small, "Content-Encoding: gzip").status == 201
    finally:
        for wire in slow:
            wire.close()
    assert service.post("/v1/messages", large).status == 201


def test_large_events_and_deliveries_take_turns(service: Service) -> None:
    """A body of them is as large, and whoever sends many at once must not fill the process's memory."""
    source = sources.SealedSource(id="src_1", workspace=WORKSPACE, provider="resend", secret="", options={})
    path = webhooks.PATH.format(provider=source.provider, source=source.id)

    def of_source() -> str:
        return f"{sources.HEADER}: {sealed.seal(sources.HEADER, source, sealing.INTERNAL, 'POST', path)}"

    ways: dict[str, Callable[[], str]] = {"/v1/events": lambda: service.sealed("/v1/events"), path: of_source}
    for way, header in ways.items():
        slow = [service.connect() for _ in range(2)]
        try:
            for wire in slow:
                head = [f"POST {way} HTTP/1.1", "Host: t", f"Content-Length: {1 << 20}", header(), "", "{"]
                wire.send("\r\n".join(head).encode() + b" " * (bodies.LARGE + 1))
            if way == path:
                until_refused(service, path, b" " * 400_000, of_source())
                assert service.post("/v1/messages", {**MAIL, "html": "x" * 400_000}).status == 201
            else:
                until_refused(service, "/v1/messages", {**MAIL, "html": "x" * 400_000})
        finally:
            for wire in slow:
                wire.close()


def test_slow_large_registrations_of_two_workspaces_hold_up_no_third(service: Service) -> None:
    """They hold all turns there are; who sends nothing loses its own."""
    large = {**MAIL, "html": "x" * 400_000}
    slow = [service.connect() for _ in range(4)]
    try:
        for number, wire in enumerate(slow):
            sealed = sealing.line(service.principal(workspace=100 + number % 2), "POST", "/v1/messages")
            head = ["POST /v1/messages HTTP/1.1", "Host: t", f"Content-Length: {1 << 20}", sealed, "", "{"]
            wire.send("\r\n".join(head).encode() + b" " * (bodies.LARGE + 1))
        for _ in range(4):  # the first may come before the slow ones have their turns
            assert service.post("/v1/messages", large, service.principal(workspace=102)).status == 201
    finally:
        for wire in slow:
            wire.close()


def until_refused(service: Service, path: str, large: object, *headers: str) -> Reply:
    """The first 503: what was sent before may not have come yet."""
    for _ in range(100):
        reply = service.post(path, large, *headers)
        if reply.status == 503 and "large requests" in reply.json()["error"]["message"]:
            return reply
    raise AssertionError("large bodies take no turns")


def test_a_compressed_body_is_whole_beyond_its_turn(service: Service) -> None:
    """More than a turn is taken for comes out of one chunk; no byte is lost at the seam."""
    for more in (-1, 0, 1, 70_000):
        html = "é" * ((bodies.LARGE + more) // 2)
        body = gzip.compress(json.dumps({**MAIL, "html": html}, ensure_ascii=False).encode())
        reply = service.post("/v1/messages", body, "Content-Encoding: gzip")
        assert reply.status == 201
        assert html in reply.json()["data"]["html"]


@pytest.mark.parametrize("item", ["1", '{"%s":1}' % ("x" * 700), '{"type":"%s"}' % ("\\u0007" * 110)])
def test_the_report_of_a_refused_event_is_short(service: Service, item: str) -> None:
    body = ('{"events":[' + ",".join([item] * event_batch.MAX_EVENTS) + "]}").encode()
    reply = service.post("/v1/events", body)
    assert reply.status == 202
    assert len(reply.json()["rejected"]) == event_batch.MAX_EVENTS
    assert len(reply.body) < event_batch.MAX_EVENTS * 1000
