"""The honeypot of `POST /v1/messages`, and how many links a message has, against the real service."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from postmeter.shared.stream.events import Mark
from tests.integration.tracking_service import Service, hits_of
from tests.integration.tracking_writes import MESSAGE, error, registration


@pytest.fixture(scope="module")
def service(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("tracking")
    running = Service(redis_server, folder / "spool")
    yield running
    assert running.terminate() == 0


HONEYPOT_HTML = '<body><a href="https://a.example/1">x</a> <a href="https://a.example/2">y</a></body>'


def test_the_honeypot_stands_in_the_mail_and_in_the_answer(service: Service) -> None:
    plain = service.post("/v1/messages", {**MESSAGE, "html": HONEYPOT_HTML}).json()["data"]
    data = service.post("/v1/messages", {**MESSAGE, "html": HONEYPOT_HTML, "honeypot": True}).json()["data"]
    assert plain["honeypot_url"] is None
    assert [link["url"] for link in data["links"]] == ["https://a.example/1", "https://a.example/2"]
    assert data["honeypot_url"] not in [link["tracking_url"] for link in data["links"]]
    assert data["html"].count(f'<a href="{data["honeypot_url"]}" style="display:none') == 1
    visited = service.get(data["honeypot_url"].removeprefix("http://t.example.net"))
    assert (visited.status, visited.headers["location"]) == (302, "https://a.example/1")
    (hit,) = hits_of(service.redis_url, uuid.UUID(data["id"]).bytes)
    assert (hit.url, hit.mark) == ("https://a.example/1", Mark.HONEYPOT)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({}, id="no-html"),
        pytest.param({"html": "<p>text</p>"}, id="no-links"),
        pytest.param({"html": '<a href="mailto:a@b.example">x</a>'}, id="none-that-is-tracked"),
    ],
)
def test_without_a_tracked_link_there_is_no_honeypot(service: Service, change: dict[str, object]) -> None:
    body = {**MESSAGE, "track_opens": False, "honeypot": True, **change}
    data = service.post("/v1/messages", body).json()["data"]
    assert (data["honeypot_url"], data["html"]) == (None, change.get("html"))


def test_a_honeypot_without_tracked_clicks_is_a_contradiction(service: Service) -> None:
    body = {**MESSAGE, "html": HONEYPOT_HTML, "honeypot": True, "track_clicks": False}
    reply = service.post("/v1/messages", body)
    assert (reply.status, error(reply)["code"], error(reply)["field"]) == (400, "INVALID_FIELD", "honeypot")
    assert "track_clicks" in error(reply)["message"]


@pytest.mark.parametrize(
    ("html", "links"),
    [
        pytest.param(HONEYPOT_HTML, 2, id="two"),
        pytest.param(HONEYPOT_HTML * 2, 2, id="each-twice"),
        pytest.param('<a href="https://a.example/"><a href="#x"><a href="tel:1">', 1, id="untracked-ones"),
        pytest.param("<p>text</p>", 0, id="none"),
        pytest.param(None, 0, id="not-known"),
    ],
)
def test_a_message_knows_how_many_destinations_its_links_have(service: Service, html: str | None, links: int) -> None:
    for honeypot in (False, True):
        reply = service.post("/v1/messages", {**MESSAGE, "honeypot": honeypot, **({"html": html} if html else {})})
        assert registration(service, reply).links == links
    reply = service.post("/v1/messages", {**MESSAGE, "track_clicks": False, **({"html": html} if html else {})})
    assert registration(service, reply).links == 0
