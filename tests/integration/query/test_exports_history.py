"""Workspaces' exports of messages and of the history of events: their rows."""

import io
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow
import pyarrow.parquet
import pytest

from postmeter.query.exports.rows import history
from postmeter.shared.stream.events import Engagement, EventType
from tests.integration.export_service import DAY, Api, exporting, message, noon, series


@pytest.fixture
async def api(postgres_dsn: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with exporting(postgres_dsn, redis_url, tmp_path) as made:
        yield made


async def test_messages_are_as_they_are_now(api: Api) -> None:
    first = await message(api.here, api.workspace, at=noon(2), mailbox_provider="gmail")
    second = await message(api.here, api.workspace, at=noon(1), campaign="summer", sent_at=None, subject='Ünï, "q"\n')
    await message(api.here, api.workspace, at=noon(40))
    rows = await api.rows(export_type="messages")
    assert [r["message_id"] for r in rows] == [str(first), str(second)]
    at = f"{noon(2).date()}T12:0"
    assert rows[0] == {
        "message_id": str(first),
        "campaign_id": "spring",
        "from_address": "news@shop.example",
        "to_hash": "ab" * 32,
        "to_domain": "reader.example",
        "subject": "Hello",
        "provider": "SENDGRID",
        "provider_account_id": "",
        "provider_message_id": "sg-1",
        "template": "welcome",
        "mailbox_provider": "gmail",
        "tags": '["a","b"]',
        "state": "delivered",
        "created_at": f"{at}0:00.000000Z",
        "sent_at": f"{at}0:00.000000Z",
        "delivered_at": f"{at}0:01.000000Z",
        "first_opened_at": f"{at}1:00.000000Z",
        "first_clicked_at": f"{at}2:00.000000Z",
        "first_replied_at": "",
        "unsubscribed_at": "",
    }
    assert (rows[1]["sent_at"], rows[1]["subject"], rows[1]["mailbox_provider"]) == ("", 'Ünï, "q"\n', "")
    assert [r["campaign_id"] for r in await api.rows(export_type="messages", campaign_ids=["summer"])] == ["summer"]


async def test_events_are_the_history_with_their_message_s_fields(api: Api) -> None:
    first = await message(api.here, api.workspace, at=noon(2), mailbox_provider="outlook")
    await message(api.here, api.workspace, at=noon(1), campaign="summer")
    rows = await api.rows(export_type="events")
    assert [(r["type"], r["campaign_id"]) for r in rows] == [
        ("sent", "spring"),
        ("clicked", "spring"),
        ("sent", "summer"),
        ("clicked", "summer"),
    ]
    clicked = {name: value for name, value in rows[1].items() if value}
    at = f"{noon(2).date()}T12:02:00.000000Z"
    assert clicked == {
        "timestamp": at,
        "type": "clicked",
        "message_id": str(first),
        "campaign_id": "spring",
        "from_address": "news@shop.example",
        "to_hash": "ab" * 32,
        "subject": "Hello",
        "domain": "shop.example",
        "provider": "SENDGRID",
        "mailbox_provider": "outlook",
        "verdict": "human",
        "verdict_reason": "none",
        "counted": "true",
        "url": "https://shop.example/a",
        "user_agent": "Thunderbird",
        "ip": "203.0.113.0",
        "received_at": at,
    }
    chosen = await api.rows(export_type="events", campaign_ids=["summer"])
    assert {r["campaign_id"] for r in chosen} == {"summer"}


async def test_events_that_are_history_only_say_so(api: Api) -> None:
    await message(api.here, api.workspace)
    await api.here.pool.execute("UPDATE event SET counted = false WHERE type = $1", EventType.CLICKED)
    expected = [("sent", True), ("clicked", False)]
    lines = [json.loads(line) for line in (await api.file(export_type="events", format="json")).splitlines()]
    assert [(row["type"], row["counted"]) for row in lines] == expected
    parquet = pyarrow.BufferReader(await api.file(export_type="events", format="parquet"))
    rows = pyarrow.parquet.read_table(parquet).to_pylist()
    assert [(row["type"], row["counted"]) for row in rows] == expected
    book = openpyxl.load_workbook(io.BytesIO(await api.file(export_type="events", format="xlsx")))
    sheet = {column[0]: column[1:] for column in zip(*book.active.values, strict=True)}
    assert list(zip(sheet["type"], sheet["counted"], strict=True)) == expected
    assert [(row["type"], row["counted"]) for row in await api.rows(export_type="events")] == [
        ("sent", "true"),
        ("clicked", "false"),
    ]


async def test_clicks_that_were_all_machines_are_not_a_first_click(api: Api) -> None:
    await message(api.here, api.workspace)
    taken_back = "UPDATE engagement SET at = 'infinity', was = at WHERE kind = $1"
    await api.here.pool.execute(taken_back, Engagement.CLICK)
    (row,) = await api.rows(export_type="messages")
    assert (row["first_opened_at"] != "", row["first_clicked_at"]) == (True, "")


async def test_events_of_the_overflow_series_keep_their_own_campaign(api: Api) -> None:
    overflow = await series(api.here, api.workspace, "(other)", "(other)")
    await message(api.here, api.workspace, campaign="spring")
    await message(api.here, api.workspace, campaign="summer")
    await api.here.pool.execute("UPDATE event SET series = $1", overflow)
    rows = await api.rows(export_type="events", campaign_ids=["summer"])
    assert [r["campaign_id"] for r in rows] == ["summer", "summer"]
    confined = api.seen_as(role="domain_admin", domains=["shop.example"])
    assert await confined.failed(export_type="events") == "insufficient data"


async def test_a_busy_day_is_cut_into_hours_and_nothing_is_lost_between_them(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("postmeter.query.exports.rows.volumes.LARGE", 3)
    day = noon().replace(hour=0)
    edges = [day + timedelta(hours=hours, microseconds=-1) for hours in (5, 24)]
    moments = sorted([*edges, *(day + n * timedelta(minutes=20) for n in range(72))])
    ids = {at: await message(api.here, api.workspace, at=at) for at in moments}
    await message(api.here, api.workspace, at=day + DAY)
    first, last = day + timedelta(minutes=30), day + DAY
    window = {"time_range": "custom", "start_date": first.isoformat(), "end_date": last.isoformat()}
    wanted = [str(ids[at]) for at in moments if first <= at < last]
    assert [r["message_id"] for r in await api.rows(export_type="messages", **window)] == wanted
    events = await api.rows(export_type="events", **window)
    assert [r["message_id"] for r in events if r["type"] == "sent"] == wanted
    assert [r["timestamp"] for r in events] == sorted(r["timestamp"] for r in events)


async def test_long_texts_are_read_in_smaller_batches(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [await message(api.here, api.workspace, at=noon(2), subject="x" * 1000) for _ in range(5)]
    sizes = list[int]()

    async def counted(connection: Any, reading: Any, records: list[Any]) -> list[Any]:
        sizes.append(len(records))
        return await of_messages(connection, reading, records)

    of_messages = history._message_rows
    monkeypatch.setattr(history, "_message_rows", counted)
    monkeypatch.setattr(history, "BATCH_CHARS", 2000)
    assert {row["message_id"] for row in await api.rows(export_type="messages")} == {*map(str, ids)}
    assert max(sizes) == 2
