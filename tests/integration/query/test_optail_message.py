"""Optail's single message over real HTTP: its fields and its history."""

import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from postmeter.shared.stream.events import EventType, Verdict
from tests.integration.optail_mail import AT, FIRST, NOW, the_document_s
from tests.integration.query_api import Api
from tests.integration.running_query import sealed
from tests.integration.stored_messages import Mail, asking, happened, register


@pytest.fixture
async def api(shared_postgres_dsn: str, redis_url: str) -> AsyncIterator[Api]:
    async with asking(shared_postgres_dsn, redis_url, NOW, FIRST) as made:
        yield made


async def test_one_message_as_the_document_prints_it(api: Api) -> None:
    mail = the_document_s()
    await register(api.here, api.workspace, mail)
    await happened(
        api.here,
        api.workspace,
        mail.id,
        (EventType.DELIVERED, AT + timedelta(seconds=3)),
        (EventType.SENT, AT + timedelta(seconds=1)),
    )
    await happened(
        api.here,
        api.workspace,
        mail.id,
        (EventType.OPENED, AT + timedelta(minutes=5, seconds=12)),
        verdict=Verdict.PROXY,
    )
    assert await api.text(f"/v1/messages/{mail.id}") == (
        f'{{"data":{{"id":"{mail.id}","fromAddress":"hello@yourdomain.com","subject":"Welcome!","status":"DELIVERED",'
        '"tags":["welcome"],"events":[{"eventType":"QUEUED","occurredAt":"2025-01-15T10:00:00Z"},'
        '{"eventType":"SENT","occurredAt":"2025-01-15T10:00:01Z"},'
        '{"eventType":"DELIVERED","occurredAt":"2025-01-15T10:00:03Z"},'
        '{"eventType":"OPENED","occurredAt":"2025-01-15T10:05:12Z"}]}}'
    )


async def test_machines_open_and_click_nothing(api: Api) -> None:
    mail = Mail(AT)
    await register(api.here, api.workspace, mail)
    hits = (EventType.OPENED, AT), (EventType.CLICKED, AT + timedelta(seconds=1))
    await happened(api.here, api.workspace, mail.id, *hits, verdict=Verdict.MACHINE)
    # Told by a sender, too; the message's creation is already there.
    await happened(api.here, api.workspace, mail.id, (EventType.QUEUED, AT))
    await happened(api.here, api.workspace, mail.id, *hits, verdict=Verdict.HUMAN)
    data = (await api.ok(f"/v1/messages/{mail.id}"))["data"]
    assert [event["eventType"] for event in data["events"]] == ["QUEUED", "OPENED", "CLICKED"]


async def test_events_of_one_moment_are_in_the_order_of_a_message_s_life(api: Api) -> None:
    mail = Mail(AT)
    await register(api.here, api.workspace, mail)
    kinds = [kind for kind in EventType if kind not in (EventType.QUEUED, EventType.RECEIVED)]
    await happened(api.here, api.workspace, mail.id, *((kind, AT) for kind in reversed(kinds)))
    data = (await api.ok(f"/v1/messages/{mail.id}"))["data"]
    assert [event["eventType"] for event in data["events"]] == ["QUEUED", *(kind.name for kind in sorted(kinds))]


async def test_a_long_history_shows_its_latest_thousand_events(api: Api) -> None:
    mail = Mail(AT)
    await register(api.here, api.workspace, mail)
    opens = [(EventType.OPENED, AT + timedelta(seconds=n)) for n in range(1, 1002)]
    await happened(api.here, api.workspace, mail.id, *opens, verdict=Verdict.HUMAN)
    events = (await api.ok(f"/v1/messages/{mail.id}"))["data"]["events"]
    assert len(events) == 1001
    assert events[0] == {"eventType": "QUEUED", "occurredAt": "2025-01-15T10:00:00Z"}
    assert [events[i]["occurredAt"] for i in (1, -1)] == ["2025-01-15T10:00:02Z", "2025-01-15T10:16:41Z"]


async def test_an_id_of_another_tenant_is_as_unknown_as_none(api: Api) -> None:
    theirs, other_domain, mine = Mail(AT), Mail(AT, domain="other.example"), Mail(AT)
    other = await api.here.workspace()
    await register(api.here, other, theirs)
    await register(api.here, api.workspace, other_domain, mine)
    confined = api.confined("example.com").headers
    answers = [
        await api.get(f"/v1/messages/{i}") for i in (theirs.id, uuid.uuid4(), "x", f"{{{mine.id}}}", mine.id.hex)
    ]
    answers += [await api.get(f"/v1/messages/{i}", confined) for i in (theirs.id, other_domain.id, uuid.uuid4())]
    assert answers == [(404, {"error": {"code": "NOT_FOUND", "message": "There is no such message."}})] * 8
    assert (await api.ok(f"/v1/messages/{str(mine.id).upper()}", confined))["data"]["id"] == str(mine.id)
    assert (await api.ok("/v1/messages", sealed(other)))["pagination"]["total"] == 1
    assert (await api.ok("/v1/messages", confined))["pagination"]["total"] == 1
