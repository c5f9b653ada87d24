"""GET /v1/messages/{id}/events and GET /v1/workspace over real HTTP."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from postmeter.query.documents.native import message_events
from postmeter.shared.stream.events import EventType, Verdict
from tests.integration.query_api import Api
from tests.integration.running_query import sealed
from tests.integration.stored_messages import Mail, asking, happened, register

NOW = datetime(2026, 5, 20, 10, 20, 30, tzinfo=UTC)


@pytest.fixture
async def api(shared_postgres_dsn: str, redis_url: str) -> AsyncIterator[Api]:
    async with asking(shared_postgres_dsn, redis_url, NOW, (NOW - timedelta(days=40)).date()) as made:
        yield made


async def test_every_event_is_told_with_its_verdict(api: Api) -> None:
    mail = Mail(NOW - timedelta(hours=3))
    await register(api.here, api.workspace, mail)
    after = [mail.created + timedelta(seconds=n) for n in range(1, 5)]
    await happened(api.here, api.workspace, mail.id, (EventType.DELIVERED, after[0]))
    await happened(api.here, api.workspace, mail.id, (EventType.OPENED, after[1]), verdict=Verdict.MACHINE)
    await happened(api.here, api.workspace, mail.id, (EventType.OPENED, after[2]), verdict=Verdict.PROXY)
    await happened(api.here, api.workspace, mail.id, (EventType.CLICKED, after[3]), verdict=Verdict.HUMAN)
    await api.here.pool.execute(
        "UPDATE event SET verdict_reason = 'prefetch', user_agent = 'a', url = 'https://x.example/',"
        " ip = '192.0.2.0', counted = false, claimed_at = at - interval '9 years' WHERE verdict = $1",
        Verdict.MACHINE,
    )
    await api.here.pool.execute("UPDATE event SET ip = '2001:db8:4fc::' WHERE verdict = $1", Verdict.PROXY)
    data = (await api.ok(f"/v1/messages/{mail.id}/events"))["data"]
    assert (data["id"], data["subject"], data["campaign"]) == (str(mail.id), mail.subject, None)
    assert [(event["type"], event["verdict"]) for event in data["events"]] == [
        ("delivered", None),
        ("opened", "machine"),
        ("opened", "proxy"),
        ("clicked", "human"),
    ]
    assert data["events"][1] == {
        "type": "opened",
        "at": "2026-05-20T07:20:32Z",
        "verdict": "machine",
        "verdict_reason": "prefetch",
        "bounce_type": None,
        "reason": None,
        "url": "https://x.example/",
        "user_agent": "a",
        "network": "192.0.2.0/24",
        "counted": False,
        "claimed_at": "2017-05-20T07:20:32Z",
    }
    assert data["events"][2]["network"] == "2001:db8:4fc::/48"
    assert data["events"][3]["counted"]


async def test_of_very_many_events_the_latest_are_told(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_events, "MAX_EVENTS", 3)
    mail = Mail(NOW - timedelta(hours=3))
    await register(api.here, api.workspace, mail)
    for n in range(5):
        at = mail.created + timedelta(seconds=n)
        await happened(api.here, api.workspace, mail.id, (EventType.OPENED, at), verdict=Verdict.HUMAN)
    events = (await api.ok(f"/v1/messages/{mail.id}/events"))["data"]["events"]
    assert [event["at"][-3:] for event in events] == ["32Z", "33Z", "34Z"]


@pytest.mark.parametrize("given", ["x", str(uuid.UUID(int=7)), "%2e%2e"])
async def test_what_is_not_there_is_not_found(api: Api, given: str) -> None:
    async with api.session.get(f"{api.url}/v1/messages/{given}/events", headers=sealed(api.workspace)) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (404, "NOT_FOUND")


async def test_a_workspace_says_its_name_and_zone(api: Api) -> None:
    await api.here.pool.execute(
        "UPDATE workspace SET name = 'Shop', timezone = 'Asia/Kathmandu' WHERE number = $1", api.workspace
    )
    told = (await api.ok("/v1/workspace"))["data"]
    assert (told["name"], told["timezone"], told["domains"]) == ("Shop", "Asia/Kathmandu", None)
    headers = sealed(api.workspace, role="domain_admin", domains=["Shop.example"])
    async with api.session.get(f"{api.url}/v1/workspace", headers=headers) as answer:
        assert (await answer.json())["data"] == {**told, "domains": ["shop.example"]}
