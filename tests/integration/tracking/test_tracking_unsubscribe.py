"""One-click unsubscribe (RFC 8058) on tracking-service's own port."""

import re
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.records import Event
from postmeter.tracking.hits.unsubscribe import says_so
from tests.integration.tracking_service import FOREIGN_KEYS, KEYS, WORKSPACE, Service
from tests.integration.tracking_writes import MESSAGE, events_of

ONE_CLICK = b"List-Unsubscribe=One-Click"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def service(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("unsubscribe")
    running = Service(redis_server, folder / "spool")
    yield running
    assert running.terminate() == 0


def ask(service: Service, path: str, body: bytes | None = None, kind: str = FORM, method: str | None = None) -> Any:
    """(status, headers, text) of a request that follows no redirect."""
    url = path if path.startswith("http") else f"http://127.0.0.1:{service.port}{path}"
    headers = {"Content-Type": kind, "User-Agent": "Mail client"} if body is not None else {}
    request = urllib.request.Request(url, data=body, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.url == url
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def registered(service: Service) -> tuple[str, str, dict[str, str]]:
    """(message id, path of its unsubscribe URL, headers that offer it)."""
    data = service.post("/v1/messages", MESSAGE, service.principal()).json()["data"]
    url = urllib.parse.urlsplit(data["unsubscribe"]["url"])
    return data["id"], url.path, data["unsubscribe"]["headers"]


def unsubscribed(service: Service, message: str) -> list[Event]:
    return [event for event in events_of(service, message) if event.type == EventType.UNSUBSCRIBED]


def test_registration_hands_out_the_headers(service: Service) -> None:
    data = service.post("/v1/messages", MESSAGE, service.principal()).json()["data"]
    url = data["unsubscribe"]["url"]
    assert data["unsubscribe"]["headers"] == {
        "List-Unsubscribe": f"<{url}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    assert url.endswith(KEYS.sign_unsubscribe(WORKSPACE, uuid.UUID(data["id"]).bytes))


MULTIPART = b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n'


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        *((kind, body) for body in (ONE_CLICK, MULTIPART) for kind in (
            FORM, "multipart/form-data; boundary=x", "multipart/form-data", "multipart/form-data; boundary=y", "",
            "text/plain", "application/json", "application/octet-stream", f"{FORM}; charset=bogus", "nonsense",
        )),
        (FORM, b"list=1&List-Unsubscribe=One-Click\r\n"),
        (FORM, b"List-Unsubscribe=%4Fne-Click"),
        ("text/plain", b" List-Unsubscribe=one-click \n"),
        ("multipart/form-data; boundary=x", MULTIPART.replace(b"\r\n", b"\n")),
    ],
)  # fmt: skip
def test_a_mail_clients_post_counts_once_however_often_it_comes(service: Service, kind: str, body: bytes) -> None:
    message, path, _ = registered(service)
    for _ in range(2):
        status, headers, text = ask(service, path, body, kind)
        assert (status, headers["Location"], headers["Set-Cookie"]) == (200, None, None)
        assert "You are unsubscribed" in text
    events = unsubscribed(service, message)
    assert {event.key for event in events} == {events[0].key}
    assert events[0].key != b""
    assert (events[0].workspace, events[0].reason, events[0].user_agent) == (WORKSPACE, "one-click", b"Mail client")


def test_a_get_asks_and_changes_nothing_and_its_form_posts_what_counts(service: Service) -> None:
    message, path, _ = registered(service)
    assert ask(service, path, method="HEAD")[0] == 200
    status, headers, text = ask(service, path)
    assert (status, unsubscribed(service, message)) == (200, [])
    assert "form-action 'self'" in headers["Content-Security-Policy"]
    assert '<form method="post">' in text
    (field,) = re.findall(r'name="([^"]+)" value="([^"]+)"', text.partition("<form")[2])
    assert ask(service, path, urllib.parse.urlencode([field]).encode())[0] == 200
    assert len(unsubscribed(service, message)) == 1


@pytest.mark.parametrize("body", [b"", b"List-Unsubscribe=No", b"a=b", b"\xff\xfe=\x00", b"{}"])
def test_a_post_that_does_not_say_so_changes_nothing(service: Service, body: bytes) -> None:
    message, path, _ = registered(service)
    assert ask(service, path, body)[0] == 400
    assert unsubscribed(service, message) == []


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data; boundary=x", b"--x\r\nno header"),
        ("multipart/form-data; boundary=x", MULTIPART[:40]),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n"),
        ("multipart/form-data; boundary=x", MULTIPART.replace(b"One-Click", b"No")),
        ("multipart/form-data; boundary=x", MULTIPART.replace(b"List-", b"X-")),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n" * 200),
        (FORM, b"a=b&" * 4000),
    ],
)
def test_a_form_that_is_none_changes_nothing(service: Service, kind: str, body: bytes) -> None:
    message, path, _ = registered(service)
    assert ask(service, path, body, kind)[0] == 400
    assert unsubscribed(service, message) == []


@pytest.mark.parametrize("odd", [b";", b"(", b';"', b";name=x"])
def test_a_part_with_many_parameters_takes_no_long_time(odd: bytes) -> None:
    """The library's parser of mail takes minutes for so many."""
    assert not says_so(b"--x\r\nContent-Disposition: form-data" + odd * 200_000 + b"\r\n\r\nOne-Click\r\n--x--\r\n")


def test_only_its_own_token_works(service: Service) -> None:
    message, path, _ = registered(service)
    base, key = path.rpartition("/")[0], uuid.UUID(message).bytes
    wrong = [
        KEYS.sign_open(WORKSPACE, key),
        KEYS.sign_click(WORKSPACE, key, ""),
        FOREIGN_KEYS.sign_unsubscribe(WORKSPACE, key),
        path.rpartition("/")[2][:-1],
        "x",
    ]
    for token in wrong:
        assert ask(service, f"{base}/{token}")[0] == 404
        assert ask(service, f"{base}/{token}", ONE_CLICK)[0] == 404
    assert unsubscribed(service, message) == []


def test_a_mails_own_unsubscribe_link_is_not_rewritten(service: Service) -> None:
    data = service.post("/v1/messages", MESSAGE, service.principal()).json()["data"]
    html = f'<a href="{data["unsubscribe"]["url"]}">leave</a>'
    again = service.post("/v1/messages", {**MESSAGE, "html": html, "track_opens": False}, service.principal()).json()[
        "data"
    ]
    assert (again["html"], again["links"]) == (html, [])
