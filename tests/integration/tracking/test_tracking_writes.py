"""`POST /v1/messages` and `POST /v1/events` as the contract has them, against the real service."""

import gzip
import hashlib
import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from postmeter.shared.auth.principal import HEADER
from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.records import Event, Registration
from tests.integration.tracking_service import WORKSPACE, Service, batches, once
from tests.integration.tracking_writes import GZIP, MESSAGE, NDJSON, SENT, error, micros, now, registration


@pytest.fixture(scope="module")
def service(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("tracking")
    running = Service(redis_server, folder / "spool")
    yield running
    assert running.terminate() == 0


# -- who may write


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/events"])
def test_only_the_gateway_may_ask(service: Service, path: str) -> None:
    for header in (f"{HEADER}: x.y", f"{HEADER}: ", service.sealed(path)[:-6] + "AAAAA="):
        reply = service.post(path, {"events": []}, header)
        assert (reply.status, error(reply)["code"]) == (401, "UNAUTHORIZED")
    reply = service.post(path, {"events": []}, service.principal(("analytics",)))
    assert (reply.status, error(reply)["code"]) == (403, "FORBIDDEN")


def test_a_domain_admin_writes_for_its_domains_only(service: Service) -> None:
    mine = service.principal(domains=["shop.example"])
    other = service.principal(domains=["other.example"])
    assert service.post("/v1/messages", MESSAGE, mine).status == 201
    reply = service.post("/v1/messages", MESSAGE, other)
    assert (reply.status, error(reply)["field"]) == (403, "from_address")
    received = {"events": [{"type": "received", "domain": "shop.example"}]}
    assert service.post("/v1/events", received, mine).json()["accepted"] == 1
    reply = service.post("/v1/events", received, other)
    assert (reply.status, error(reply)["code"], error(reply)["field"]) == (403, "FORBIDDEN", "domain")


@pytest.mark.parametrize(
    "kind", [kind.name.lower() for kind in EventType if kind not in (EventType.RECEIVED, EventType.UNKNOWN)]
)
def test_a_domain_admin_writes_no_event_of_a_message(service: Service, kind: str) -> None:
    """The message may be of any domain: that is not known where events are taken."""
    mine, message = service.principal(domains=["shop.example"]), str(uuid.uuid4())
    events = [
        {"type": kind, "message_id": message, "bounce_type": "hard"},
        {"type": kind, "message_id": message, "domain": "shop.example"},
        {"type": kind, "provider": "postmark", "provider_message_id": message, "bounce_type": "hard"},
    ]
    reply = service.post("/v1/events", {"events": events}, mine)
    assert (reply.status, error(reply)["code"], error(reply)["field"]) == (403, "FORBIDDEN", "type")
    received = {"type": "received", "domain": "shop.example"}
    mixed = service.post("/v1/events", {"events": [*events, received]}, mine).json()
    assert mixed["accepted"] == 1
    assert [(one["index"], one["code"]) for one in mixed["rejected"]] == [(n, "FORBIDDEN") for n in range(3)]
    written = [one for one in once(service.redis_url) if isinstance(one, Event)]
    assert not [one for one in written if uuid.UUID(message).bytes == one.message or one.provider_message == message]


# -- messages


def test_a_message_is_registered_with_all_it_has(service: Service) -> None:
    created = now() - timedelta(days=3)
    reply = service.post(
        "/v1/messages",
        {
            **MESSAGE,
            "campaign_id": "spring",
            "campaign_name": "Spring sale",
            "subject": "Grüße & more",
            "provider": "sendgrid",
            "provider_account_id": "acc",
            "provider_message_id": "pm-1",
            "template": "t1",
            "tags": ["b", "a", "b"],
            "recipient_ref": " Reader 7/ä ",
            "created_at": created.isoformat(),
        },
    )
    found = registration(service, reply)
    assert found == Registration(
        at=found.at,
        workspace=WORKSPACE,
        message=uuid.UUID(reply.json()["data"]["id"]).bytes,
        created=micros(created),
        campaign="spring",
        campaign_name="Spring sale",
        from_address="news@Shop.Example",
        from_domain="shop.example",
        to_hash=hashlib.sha256(b"ada@mail.example").hexdigest(),
        to_domain="mail.example",
        subject="Grüße & more",
        provider="SENDGRID",
        provider_account="acc",
        provider_message="pm-1",
        template="t1",
        tags=["b", "a"],
        recipient_ref=" Reader 7/ä ",
    )
    assert abs(found.at - micros(now())) < 60_000_000


def test_a_recipients_address_is_stored_nowhere(service: Service) -> None:
    service.post("/v1/messages", {**MESSAGE, "to": "very-secret@mail.example"})
    assert "very-secret" not in repr(batches(service.redis_url))


def test_the_answer_has_the_instrumented_html(service: Service) -> None:
    html = '<html><body><a href="https://shop.example/?a=1&amp;b=2">x</a></body></html>'
    data = service.post("/v1/messages", {**MESSAGE, "html": html}).json()["data"]
    assert list(data) == [
        "id",
        "open_url",
        "links",
        "untracked",
        "honeypot_url",
        "html",
        "unsubscribe",
        "tracking",
        "preferences_url",
    ]
    assert [link["url"] for link in data["links"]] == ["https://shop.example/?a=1&b=2"]
    assert f'<a href="{data["links"][0]["tracking_url"]}">x</a>' in data["html"]
    assert f'<img src="{data["open_url"]}"' in data["html"]
    plain = service.post("/v1/messages", {**MESSAGE, "html": html, "track_opens": False, "track_clicks": False})
    assert plain.json()["data"] == {
        "id": plain.json()["data"]["id"], "open_url": None, "links": [], "untracked": [], "honeypot_url": None,
        "html": html, "unsubscribe": plain.json()["data"]["unsubscribe"],
        "tracking": {"opens": "full", "clicks": "full", "decided_by": {"opens": "workspace", "clicks": "workspace"}},
        "preferences_url": plain.json()["data"]["preferences_url"],
    }  # fmt: skip


def test_the_answers_urls_work(service: Service) -> None:
    html = '<a href="https://shop.example/%C3%BC?q=a+b&amp;amp;c">x</a>'
    data = service.post("/v1/messages", {**MESSAGE, "html": html}).json()["data"]
    base = "http://t.example.net"
    clicked = service.get(data["links"][0]["tracking_url"].removeprefix(base))
    assert clicked.headers["location"] == "https://shop.example/%C3%BC?q=a+b&amp;c"
    assert service.get(data["open_url"].removeprefix(base)).headers["content-type"] == "image/gif"


def test_long_html_is_instrumented_like_short(service: Service) -> None:
    html = '<a href="https://shop.example/">x</a>' * 900
    data = service.post("/v1/messages", {**MESSAGE, "html": html, "honeypot": True}).json()["data"]
    assert data["html"].count(data["links"][0]["tracking_url"]) == 900
    assert data["html"].count(data["honeypot_url"]) == 1


def test_an_id_may_be_given(service: Service) -> None:
    wanted = str(uuid.uuid4())
    assert service.post("/v1/messages", {**MESSAGE, "id": wanted}).json()["data"]["id"] == wanted


def test_of_a_list_the_valid_ones_are_accepted(service: Service) -> None:
    good = [{**MESSAGE, "id": str(uuid.uuid4())} for _ in range(2)]
    reply = service.post("/v1/messages", {"messages": [good[0], {"to": "a@b.example"}, "text", good[1]]})
    assert reply.status == 201
    answer = reply.json()
    assert [one["id"] for one in answer["data"]] == [one["id"] for one in good]
    assert [(one["index"], one["code"], one["field"]) for one in answer["rejected"]] == [
        (1, "INVALID_FIELD", "from_address"),
        (2, "INVALID_FIELD", None),
    ]


def test_a_list_without_a_valid_one_is_an_error(service: Service) -> None:
    reply = service.post("/v1/messages", {"messages": [{**MESSAGE, "to": "nobody"}]})
    assert (reply.status, error(reply)["field"]) == (400, "messages[0].to")


def test_a_list_of_bad_ones_is_reported_in_full(service: Service) -> None:
    reply = service.post("/v1/messages", {"messages": [{"to": "a@b.example"}, 7, {**MESSAGE, "to": "nobody"}]})
    assert (reply.status, error(reply)["field"]) == (400, "messages[0].from_address")
    assert [(one["index"], one["field"]) for one in reply.json()["rejected"]] == [
        (0, "from_address"),
        (1, None),
        (2, "to"),
    ]
    other = service.principal(domains=["other.example"])
    assert service.post("/v1/messages", {"messages": [MESSAGE, MESSAGE]}, other).status == 403
    assert service.post("/v1/messages", {"messages": [MESSAGE, 7]}, other).status == 400


def test_a_list_has_a_length(service: Service) -> None:
    reply = service.post("/v1/messages", {"messages": [MESSAGE] * 1000})
    assert (reply.status, len(reply.json()["data"])) == (201, 1000)
    reply = service.post("/v1/messages", {"messages": [MESSAGE] * 1001})
    assert (reply.status, error(reply)["code"]) == (400, "TOO_MANY_ITEMS")
    assert service.post("/v1/messages", {"messages": []}).json() == {"data": [], "rejected": []}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"from_address": None}, "from_address"),
        ({"from_address": "nobody"}, "from_address"),
        ({"from_address": "(" * 990 + ">"}, "from_address"),
        ({"from_address": "a@b.example,c@d.example"}, "from_address"),
        ({"campaign_id": "字" * 134}, "campaign_id"),
        ({"tags": ["字" * 90, "文" * 90, "書" * 90]}, "tags"),
        ({"from_address": "a@b c.example"}, "from_address"),
        ({"from_address": "a@-.-\u2024"}, "from_address"),
        ({"to": "@mail.example"}, "to"),
        ({"to": ["a@b.example"]}, "to"),
        ({"id": "7"}, "id"),
        ({"subject": "x" * 2001}, "subject"),
        ({"subject": "a\0b"}, "subject"),
        ({"recipient_ref": "x" * 201}, "recipient_ref"),
        ({"recipient_ref": 7}, "recipient_ref"),
        ({"campaign_id": 7}, "campaign_id"),
        ({"tags": ["x" * 101]}, "tags[0]"),
        ({"tags": ["x", 7]}, "tags[1]"),
        ({"tags": [str(n) for n in range(21)]}, "tags"),
        ({"track_opens": "yes"}, "track_opens"),
        ({"honeypot": "yes"}, "honeypot"),
        ({"created_at": "2026-04-03T12:00:00"}, "created_at"),
        ({"created_at": "2026-04-03T12:00:60Z"}, "created_at"),
        ({"created_at": "2025-02-29T12:00:00Z"}, "created_at"),
        ({"created_at": "0000-01-01T00:00:00Z"}, "created_at"),
        ({"created_at": "2026-04-03T12:00:00+99:00"}, "created_at"),
        ({"created_at": "2026-04-03"}, "created_at"),
        ({"created_at": 1775217600}, "created_at"),
        ({"workspace": "other"}, "workspace"),
    ],
)
def test_a_bad_field_is_named(service: Service, change: dict[str, object], field: str) -> None:
    reply = service.post("/v1/messages", {**MESSAGE, **change})
    assert (reply.status, error(reply).get("field")) == (400, field), reply.body


def test_a_creation_out_of_range_counts_at_the_received_time(service: Service) -> None:
    found = registration(service, service.post("/v1/messages", {**MESSAGE, "created_at": "1970-01-01T00:00:00Z"}))
    assert abs(found.created - micros(now())) < 60_000_000


def test_idn_domains_are_punycode(service: Service) -> None:
    found = registration(service, service.post("/v1/messages", {**MESSAGE, "from_address": "a@BÜCHER.example"}))
    assert found.from_domain == "xn--bcher-kva.example"


# -- bodies


def nested(depth: int) -> bytes:
    return b'{"events": ' + b"[" * depth + b"]" * depth + b"}"


MANY_KEYS = b'{"events": [{' + b",".join(b'"k%d": 1' % n for n in range(400_000)) + b"}]}"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(nested(100_000), id="26-deep"),
        pytest.param(b"{" + b",".join(b'"k%d":1' % n for n in range(700_000)) + b"}", id="26-many-keys"),
        pytest.param(b'{"events": NaN}', id="28-nan"),
        pytest.param(b'{"events": 1e400}', id="28-1e400"),
        pytest.param(b'{"events": ' + b"9" * 100_000 + b"}", id="28-long-integer"),
        pytest.param(b'{"events": "\xc0\xaf"}', id="16-no-utf8"),
        pytest.param(b'{"events": [}', id="broken"),
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="no-object"),
        pytest.param(b'{"events": [], "more": 1}', id="unknown-field"),
    ],
)
def test_a_bad_body_is_a_400(service: Service, body: bytes) -> None:
    for path in ("/v1/events", "/v1/messages"):
        reply = service.post(path, body)
        assert reply.status == 400
        assert error(reply)["code"] in ("INVALID_JSON", "INVALID_FIELD", "TOO_MANY_ITEMS")


LINES = b"%s\n%s\n" % (json.dumps(SENT).encode(), json.dumps(SENT).encode())


@pytest.mark.parametrize(
    ("path", "body", "hint"),
    [
        pytest.param("/v1/events", json.dumps(SENT).encode(), "wrap events", id="bare-event"),
        pytest.param("/v1/events", LINES, "application/x-ndjson", id="ndjson-as-json"),
        pytest.param("/v1/events", LINES.replace(b"\n", b""), "application/x-ndjson", id="ndjson-without-lines"),
        pytest.param("/v1/events", json.dumps([SENT]).encode(), '{"events": [...]}', id="event-array"),
        pytest.param("/v1/events", b'{"type": 1, "events": []}', "type: There is no such field", id="both"),
        pytest.param("/v1/events", b'{"events": []', "truncated", id="truncated"),
        pytest.param("/v1/events", b"", "it is empty", id="empty"),
        pytest.param("/v1/messages", b" \r\n[{}]", '{"messages": [...]}', id="message-array"),
        pytest.param("/v1/messages", b'{"to": "\\ud800"}', "half of a surrogate pair (byte 8)", id="high-half"),
        pytest.param("/v1/messages", b'{"to": "\\\\\\udFFF x"}', "half of a surrogate pair (byte 10)", id="low-half"),
        pytest.param("/v1/messages", b'{"to": "\\ud83d\\ude00\\ud83d\\u0041"}', "(byte 20)", id="after-a-pair"),
        pytest.param("/v1/messages", b'{"to": "\\\\ud800', "truncated", id="escaped-backslash"),
    ],
)
def test_an_error_says_what_to_do(service: Service, path: str, body: bytes, hint: str) -> None:
    reply = service.post(path, body)
    assert reply.status == 400
    assert hint in error(reply)["message"]


def test_a_byte_order_mark_is_not_an_error(service: Service) -> None:
    mark = b"\xef\xbb\xbf"
    assert service.post("/v1/events", mark + LINES, NDJSON).json()["accepted"] == 2
    assert service.post("/v1/events", mark + b'{"events": []}').status == 202
    assert service.post("/v1/messages", gzip.compress(mark + json.dumps(MESSAGE).encode()), GZIP).status == 201


@pytest.mark.parametrize(
    ("event", "field"),
    [
        pytest.param(nested(100_000), "events", id="26-deep"),
        pytest.param(MANY_KEYS[12:-2], "k0", id="26-many-keys"),
        pytest.param(b'{"type": "sent", "size_bytes": 1e400}', "size_bytes", id="28-1e400"),
        pytest.param(
            b'{"type": "received", "size_bytes": ' + b"9" * 100_000 + b"}", "size_bytes", id="28-long-integer"
        ),
        pytest.param(b'{"type": "sent", "size_bytes": NaN}', None, id="28-nan"),
        pytest.param(b'{"type": "\\ud800"}', None, id="16-half-pair"),
    ],
)
def test_a_bad_line_is_rejected_alone(service: Service, event: bytes, field: str | None) -> None:
    body = event + b'\n{"type": "received", "domain": "a.example"}\n'
    reply = service.post("/v1/events", body, NDJSON)
    assert (reply.status, reply.json()["accepted"]) == (202, 1)
    assert [(one["index"], one["field"]) for one in reply.json()["rejected"]] == [(0, field)]


def test_27_a_gzip_bomb_is_a_413(service: Service) -> None:
    for size in (9 << 20, 512 << 20):
        reply = service.post("/v1/events", gzip.compress(b" " * size, 9), GZIP)
        assert (reply.status, error(reply)["code"]) == (413, "PAYLOAD_TOO_LARGE")


def test_a_large_body_is_a_413(service: Service) -> None:
    with closing(service.connect()) as wire:
        head = [
            "POST /v1/events HTTP/1.1",
            "Host: t",
            service.sealed("/v1/events"),
            f"Content-Length: {9 << 20}",
            "",
            "",
        ]
        wire.send("\r\n".join(head).encode())
        try:
            for _ in range(9):
                wire.send(b" " * (1 << 20))
        except ConnectionError:
            pass
        assert wire.reply().status == 413


def test_gzip_is_inflated(service: Service) -> None:
    reply = service.post("/v1/messages", gzip.compress(json.dumps(MESSAGE).encode()), GZIP)
    assert reply.status == 201
    for broken in (gzip.compress(b"{}")[:-6], b"no gzip at all"):
        reply = service.post("/v1/messages", broken, GZIP)
        assert (reply.status, error(reply)["code"]) == (400, "BAD_REQUEST")
    assert service.post("/v1/messages", MESSAGE, "Content-Encoding: br").status == 415
