"""POST /v1/recipients/export over real HTTP: everything that is kept of one recipient, and what is left out is said."""

import hashlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from postmeter.query.requests import fitting
from postmeter.shared.apis.privacy import subject_requests
from postmeter.shared.stream import records
from postmeter.shared.stream.events import BounceType, EventType, Verdict
from tests.aggregation import event
from tests.integration.query_api import Api
from tests.integration.running_query import sealed
from tests.integration.stored_messages import Mail, asking, happened, register

NOW = datetime(2026, 5, 20, 10, 20, 30, tzinfo=UTC)
ADDRESS = "Ada@reader.example"
HASH = hashlib.sha256(b"ada@reader.example").hexdigest()


@pytest.fixture
async def api(postgres_dsn: str, redis_url: str) -> AsyncIterator[Api]:
    async with asking(postgres_dsn, redis_url, NOW, (NOW - timedelta(days=40)).date()) as made:
        yield made


async def export(api: Api, body: Any, status: int = 200, **changes: Any) -> Any:
    headers = sealed(api.workspace, scopes=["privacy"], key_id="0011", **changes)
    async with api.session.post(f"{api.url}{subject_requests.EXPORT_PATH}", json=body, headers=headers) as answer:
        told = json.loads(await answer.read())
        assert answer.status == status, told
        return told.get("data", told)


async def test_all_that_is_kept_is_told_and_nothing_of_others(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    mails = [Mail(NOW - timedelta(hours=n), to_hash=HASH, subject=f"No {n}") for n in range(1, 4)]
    await register(api.here, api.workspace, *mails, Mail(NOW - timedelta(hours=1), subject="Another's"))
    at = [mails[0].created + timedelta(seconds=n) for n in range(4)]
    await happened(api.here, api.workspace, mails[0].id, (EventType.DELIVERED, at[0]))
    for n in (1, 2):
        await happened(api.here, api.workspace, mails[0].id, (EventType.OPENED, at[n]), verdict=Verdict.HUMAN)
    waiting = event(EventType.BOUNCED, None, bounce=BounceType.HARD, provider="POSTMARK", reason="550")
    for statement, *arguments in (
        ("INSERT INTO recipient_choice (workspace, to_hash, opens, clicks) VALUES ($1, $2, 2, 0)",),
        (
            "INSERT INTO consent (workspace, to_hash, opens, method, text_version, source, at, recorded_by)"
            " VALUES ($1, $2, 2, 'form', 'v1', 'shop', now(), 'key:1')",
        ),
        ("INSERT INTO last_open VALUES ($1, $2, '2026-05-01')",),
        (
            "INSERT INTO purchase (workspace, contact, id, order_id, amount, currency, items, digest, at, received_at)"
            " VALUES ($1, $2, 'evt_1', 'o1', 9.90, 'EUR', '[{\"name\": \"a\"}]', '', now(), now())",
        ),
        (
            "INSERT INTO custom_event (workspace, contact, id, name, properties, at, received_at)"
            " VALUES ($1, $2, 'evt_2', 'seen', '{\"a\": 1}', now(), now())",
        ),
        ("INSERT INTO waiting (workspace, to_hash, record) VALUES ($1, $2, $3)", records.encode(waiting)),
        (
            "INSERT INTO dead_letter (workspace, shard, batch, reason, record)"
            " VALUES ($1, 0, '', 'why', convert_to($2, 'UTF8'))",
        ),
    ):
        await api.here.pool.execute(statement, api.workspace, HASH, *arguments)
    other = await api.here.workspace()
    await api.here.pool.execute("INSERT INTO last_open VALUES ($1, $2, '2026-05-02')", other, HASH)

    told = await export(api, {"to": f"Ada <{ADDRESS}>"})
    assert told == await export(api, {"to_hash": HASH.upper()})
    assert [message["subject"] for message in told["messages"]] == ["No 1", "No 2", "No 3"]
    assert [one["type"] for one in told["messages"][0]["events"]] == ["delivered", "opened", "opened"]
    assert told["messages"][0]["to_domain"] == "reader.example"
    assert told["consent"]["opens"] == "denied"
    assert [proof["text_version"] for proof in told["consent"]["history"]] == ["v1"]
    assert told["last_open"] == "2026-05-01"
    (bought,), (seen,) = told["purchases"], told["custom_events"]
    assert (bought["amount"], bought["items"], bought["order_id"]) == ("9.90", [{"name": "a"}], "o1")
    assert (seen["name"], seen["properties"]) == ("seen", {"a": 1})
    assert [(one["type"], one["reason"]) for one in told["waiting"]] == [("bounced", "550")]
    assert [one["reason"] for one in told["put_aside"]] == ["why"]
    assert told["left_out"] == {}
    rows = await api.here.pool.fetch("SELECT actor, action, target, details::text FROM audit")
    assert [tuple(row) for row in rows] == [("key:0011", "recipient.exported", "", "{}")] * 2

    monkeypatch.setattr(subject_requests, "MOST_MESSAGES", 2)
    monkeypatch.setattr(subject_requests, "MOST_EVENTS", 2)
    told = await export(api, {"to": ADDRESS})
    assert told["left_out"] == {"messages": 1, "events": 1}
    assert [one["type"] for one in told["messages"][0]["events"]] == ["opened", "opened"]
    rest = await export(api, {"to": ADDRESS, "before": told["messages"][-1]["created_at"]})
    assert [message["subject"] for message in rest["messages"]] == ["No 3"]


async def test_a_page_ends_between_two_seconds_as_the_next_one_begins(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject_requests, "MOST_MESSAGES", 2)
    ago = (timedelta(seconds=1), timedelta(seconds=1.2), timedelta(seconds=1.4), timedelta(seconds=3))
    await register(api.here, api.workspace, *(Mail(NOW - one, to_hash=HASH) for one in ago))
    told = await export(api, {"to": ADDRESS})
    rest = await export(api, {"to": ADDRESS, "before": told["messages"][-1]["created_at"]})
    pages = [len(told["messages"]), told["left_out"], len(rest["messages"]), rest["left_out"]]
    assert pages == [3, {"messages": 1}, 1, {}]


STORE = {
    "consent": (
        "INSERT INTO consent (workspace, to_hash, opens, method, text_version, source, at, recorded_at, recorded_by)"
        " VALUES ($1, $2, 2, '', '', '', now(), $3, 'command')"
    ),
    "purchases": (
        "INSERT INTO purchase (workspace, contact, id, order_id, amount, currency, items, digest, at, received_at)"
        " SELECT $1, $2, 'evt_' || count(*), '', 1, 'EUR', '[]', '', $3, $3 FROM purchase"
    ),
    "custom_events": (
        "INSERT INTO custom_event (workspace, contact, id, name, properties, at, received_at)"
        " SELECT $1, $2, 'evt_' || count(*), 'seen', '{}', $3, $3 FROM custom_event"
    ),
    "waiting": "INSERT INTO waiting (workspace, to_hash, since, record) VALUES ($1, $2, $3, $4)",
    "put_aside": (
        "INSERT INTO dead_letter (workspace, shard, batch, at, reason, record)"
        " VALUES ($1, 0, '', $3, 'why', convert_to($2, 'UTF8'))"
    ),
}
MOMENT = {"waiting": "since", "consent": "recorded_at"}


@pytest.mark.parametrize("name", STORE)
async def test_the_pages_of_a_list_hold_all_of_it(api: Api, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(subject_requests, "MOST_ROWS", 2)
    at = [NOW - timedelta(seconds=n) for n in (0, 1.2, 1.4, 1.6, 3, 4, 5)]
    more = [records.encode(event(EventType.DEFERRED, None, provider="POSTMARK"))] if name == "waiting" else []
    for one in at:
        await api.here.pool.execute(STORE[name], api.workspace, HASH, one, *more)
    pages: list[list[str]] = []
    left: list[int] = []
    before: dict[str, str] = {}
    while not left or left[-1]:
        told = await export(api, {"to": ADDRESS, **before})
        found = told["consent"]["history"] if name == "consent" else told[name]
        pages.append([one[MOMENT.get(name, "at")] for one in found])
        left.append(told["left_out"].get(name, 0))
        before = {f"{name}_before": pages[-1][-1]}
    assert (list(map(len, pages)), left) == ([4, 2, 1], [3, 1, 0])
    assert [one for page in pages for one in page] == [f"{one.replace(microsecond=0):%Y-%m-%dT%H:%M:%SZ}" for one in at]


@pytest.mark.parametrize("name", ["messages", *STORE])
async def test_a_second_that_no_page_holds_is_told_whole_by_next(
    api: Api, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Seven of one second, of which pairs are of one moment, on pages of three."""
    for bound, n in (("MOST_ROWS", 2), ("MOST_MESSAGES", 2), ("MOST_OF_A_SECOND", 1)):
        monkeypatch.setattr(subject_requests, bound, n)
    more = [records.encode(event(EventType.DEFERRED, None, provider="POSTMARK"))] if name == "waiting" else []
    for n in range(7):
        at = NOW + timedelta(milliseconds=n // 2)
        if name == "messages":
            await register(api.here, api.workspace, Mail(at, to_hash=HASH))
        else:
            await api.here.pool.execute(STORE[name], api.workspace, HASH, at, *more)
    pages, asking = [], {"to": ADDRESS}
    while True:
        told = await export(api, asking)
        pages.append((told["consent"]["history"] if name == "consent" else told[name], told["left_out"]))
        if not told["next"]:
            break
        assert list(told["next"]) == ["before" if name == "messages" else f"{name}_before"]
        asking |= told["next"]
    assert [(len(found), left) for found, left in pages] == [(3, {name: 4}), (3, {name: 1}), (1, {})]
    if name in ("messages", "purchases", "custom_events"):
        assert len({one["id"] for found, _ in pages for one in found}) == 7


async def test_what_is_wrong_is_said_and_who_may_not_is_refused(api: Api) -> None:
    for body, field in (
        ({}, "to"),
        ({"to": ADDRESS, "to_hash": HASH}, "to"),
        ({"to": "nobody"}, "to"),
        ({"to_hash": "12"}, "to_hash"),
        ({"to": ADDRESS, "before": "soon"}, "before"),
        ({"to": ADDRESS, "put_aside_before": "2026-02-30"}, "put_aside_before"),
        ({"to": ADDRESS, "before": "2026-05-20T10:20:30.000000Z/1"}, "before"),
        ({"to": ADDRESS, "waiting_before": "2026-05-20T10:20:30.000000Z/9223372036854775808"}, "waiting_before"),
        ({"to": ADDRESS, "consent_before": "2026-05-20T10:20:30.000000/1"}, "consent_before"),
        ({"to": ADDRESS, "purchases_before": "2026-05-20T10:20:30.000000Z/\0"}, "purchases_before"),
    ):
        assert (await export(api, body, 400))["error"]["field"] == field
    assert (await export(api, {"to": ADDRESS}, 403, role="member"))["error"]["code"] == "FORBIDDEN"
    await export(api, {"to": ADDRESS}, 403, role="domain_admin", domains=["example.com"])
    await export(api, {"to": ADDRESS}, 403, domains=["example.com"])
    told = await export(api, {"to": "new@reader.example"})
    assert (told["messages"], told["last_open"], told["left_out"]) == ([], None, {})


@pytest.mark.parametrize("room", [1, 1000])
async def test_long_texts_make_pages_shorter(api: Api, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """A purchase may have items of 256 KB, a click a URL of 32: a thousand of them filled the service's memory."""
    mails = [Mail(NOW - timedelta(hours=n), to_hash=HASH, subject="x") for n in range(1, 5)]
    await register(api.here, api.workspace, *mails)
    for mail in mails[1:3]:
        at = mail.created
        await happened(api.here, api.workspace, mail.id, (EventType.CLICKED, at), (EventType.OPENED, at))
    await api.here.pool.execute("UPDATE event SET url = repeat('u', 400)")
    for n in range(3):
        await api.here.pool.execute(STORE["purchases"], api.workspace, HASH, NOW - timedelta(seconds=n))
    monkeypatch.setattr(fitting, "ROOM", room)
    pages = [await export(api, {"to": ADDRESS})]
    while pages[-1]["next"]:
        pages.append(await export(api, {"to": ADDRESS, **pages[-1]["next"]}))
    # A list that has come to its end is told again from its beginning, where others go on.
    found = list({message["id"]: message for page in pages for message in page["messages"]}.values())
    assert [message["id"] for message in found] == [str(mail.id) for mail in mails]
    assert len({bought["id"] for page in pages for bought in page["purchases"]}) == 3
    if room == 1:
        assert [len(page["messages"]) for page in pages[:4]] == [1] * 4
    else:  # events of one message fit, those of two do not
        assert [len(message["events"]) for message in found] == [0, 2, 2, 0]
        assert [len(page["messages"]) for page in pages] == [2, 2]
