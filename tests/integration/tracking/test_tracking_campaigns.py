"""`PUT /v1/campaigns/{id}` against the real service: what it takes, and the record that it becomes."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from postmeter.shared.stream.records import CampaignChange
from tests.integration.tracking_service import WORKSPACE, Reply, Service, once
from tests.integration.tracking_writes import error, micros, now


@pytest.fixture(scope="module")
def service(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("tracking")
    running = Service(redis_server, folder / "spool")
    yield running
    assert running.terminate() == 0


def put(service: Service, campaign: str, body: object, *headers: str) -> Reply:
    return service.post(f"/v1/campaigns/{quote(campaign, safe='')}", body, *headers, method="PUT")


def changes(service: Service, campaign: str) -> list[CampaignChange]:
    return [one for one in once(service.redis_url) if isinstance(one, CampaignChange) and one.campaign == campaign]


@pytest.mark.parametrize(
    ("campaign", "body"),
    [
        ("both", {"name": "April <b>News</b>", "status": "scheduled"}),
        ("name", {"name": "=1+1"}),
        ("status", {"status": "paused"}),
        ("taken back", {"name": "", "status": ""}),
        ("ünï/cödé?&#%41{id}+", {"name": "日本"}),
        ("l" * 200, {"name": "n" * 500, "status": "s" * 50}),
    ],
)
def test_what_is_said_becomes_one_record_of_the_keys_workspace(
    service: Service, campaign: str, body: dict[str, str]
) -> None:
    before = micros(now())
    reply = put(service, campaign, body)
    assert (reply.status, reply.json()) == (200, {"data": {"id": campaign} | body})
    (change,) = changes(service, campaign)
    assert before <= change.at <= micros(now())
    assert (change.workspace, change.name, change.status) == (WORKSPACE, body.get("name"), body.get("status"))


@pytest.mark.parametrize(
    ("campaign", "body", "field"),
    [
        ("refused", {}, "name"),
        ("refused", {"name": "a\0b"}, "name"),
        ("refused", {"status": "a\0b"}, "status"),
        ("refused", {"name": "n" * 501}, "name"),
        ("refused", {"status": "s" * 51}, "status"),
        ("refused", {"name": 7}, "name"),
        ("refused", {"name": None}, "name"),
        ("refused", {"name": "x", "workspace": "other"}, "workspace"),
        ("refused", {"name": ["x"]}, "name"),
        ("refused" * 29, {"name": "x"}, "id"),
        ("日" * 134, {"name": "x"}, "id"),
        ("refused\0", {"name": "x"}, "id"),
    ],
)
def test_what_cannot_be_stored_is_refused_by_its_field(
    service: Service, campaign: str, body: dict[str, object], field: str
) -> None:
    reply = put(service, campaign, body)
    assert (reply.status, error(reply)["code"], error(reply)["field"]) == (400, "INVALID_FIELD", field)
    assert changes(service, campaign) == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"name": "\\ud800"}', b'"x"', b"\xff", b"[" * 60_000])
def test_a_body_that_is_not_an_object_of_text_is_a_400(service: Service, body: bytes) -> None:
    assert put(service, "refused", body).status == 400


@pytest.mark.parametrize("segment", ["%ff", "%c0%af", "%ed%a0%80", "a%00b"])
def test_an_id_that_is_not_utf_8_or_holds_a_nul_is_refused(service: Service, segment: str) -> None:
    reply = service.post(f"/v1/campaigns/{segment}", {"name": "x"}, method="PUT")
    assert (reply.status, error(reply)["field"]) == (400, "id")


def test_it_takes_a_key_of_the_whole_workspace_with_the_scope_track(service: Service) -> None:
    for principal in (
        service.principal(role="domain_admin", domains=["shop.example"]),
        service.principal(role="domain_admin"),
        service.principal(("analytics",)),
    ):
        reply = put(service, "forbidden", {"name": "x"}, principal)
        assert (reply.status, error(reply)["code"]) == (403, "FORBIDDEN")
    for role in ("super_admin", "admin", "member"):
        assert put(service, f"by a {role}", {"name": "x"}, service.principal(role=role)).status == 200
    assert changes(service, "forbidden") == []


def test_other_methods_and_paths_are_told_apart(service: Service) -> None:
    assert service.post("/v1/campaigns/c", {"name": "x"}).status == 405
    assert service.post("/v1/campaigns/", {"name": "x"}, method="PUT").status == 404
    assert service.post("/v1/campaigns/a/b", {"name": "x"}, method="PUT").status == 404


def test_a_body_beyond_the_limit_is_not_read(service: Service) -> None:
    assert put(service, "large", b" " * (64 * 1024 + 1)).status == 413
