"""Krafter over real HTTP, field by field as its document prints it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postmeter.shared.stream.events import State
from tests.integration.query_api import Api
from tests.integration.running_query import sealed
from tests.integration.stored_messages import Mail, asking, register

NOW = datetime(2026, 2, 15, 12, 0, 0, 750_000, tzinfo=UTC)
FIRST = date(2025, 1, 1)
STATUSES = ("queued", "sent", "delivered", "bounced", "complained", "failed")
# Written down a second time (semantics.md).
SHOWN = {state: state.name.lower() for state in State} | {
    State.SENDING: "queued",
    State.SOFT_BOUNCED: "bounced",
    State.HARD_BOUNCED: "bounced",
}


@pytest.fixture
async def api(shared_postgres_dsn: str, redis_url: str) -> AsyncIterator[Api]:
    async with asking(shared_postgres_dsn, redis_url, NOW, FIRST) as made:
        yield made


def mails(start: datetime, step: timedelta, **counts: int) -> list[Mail]:
    states = [State[name.upper()] for name, n in counts.items() for _ in range(n)]
    return [Mail(start + step * place, state) for place, state in enumerate(states)]


async def test_stats_as_the_document_prints_them(api: Api) -> None:
    since = datetime(2026, 1, 16, 12, tzinfo=UTC)
    month = mails(
        since,
        timedelta(seconds=2073),
        queued=3,
        sending=2,
        sent=20,
        delivered=1180,
        hard_bounced=18,
        soft_bounced=12,
        complained=2,
        failed=13,
    )
    await register(api.here, api.workspace, *month)
    assert await api.text("/api/v1/mail/stats?period=30d") == (
        '{"data":{"period":"30d","since":"2026-01-16T12:00:00Z","total":1250,"by_status":'
        '{"queued":5,"sent":20,"delivered":1180,"bounced":30,"complained":2,"failed":13}}}'
    )


async def test_daily_rows_as_the_document_prints_them(api: Api) -> None:
    day = datetime(2026, 2, 9, tzinfo=UTC)
    await register(
        api.here,
        api.workspace,
        *mails(day, timedelta(minutes=31), sent=3, delivered=42, soft_bounced=1),
        *mails(day + timedelta(days=1), timedelta(minutes=30), sent=5, delivered=38, failed=1),
        Mail(day - timedelta(microseconds=1)),
    )
    assert await api.text("/api/v1/mail/stats/daily?days=7") == (
        '{"data":[{"date":"2026-02-09","queued":0,"sent":3,"delivered":42,"bounced":1,"complained":0,"failed":0},'
        '{"date":"2026-02-10","queued":0,"sent":5,"delivered":38,"bounced":0,"complained":0,"failed":1},'
        + ",".join(
            f'{{"date":"2026-02-{n}","queued":0,"sent":0,"delivered":0,"bounced":0,"complained":0,"failed":0}}'
            for n in range(11, 16)
        )
        + "]}"
    )


async def test_only_states_that_some_message_has_are_listed(api: Api) -> None:
    assert await api.text("/api/v1/mail/stats") == (
        '{"data":{"period":"7d","since":"2026-02-08T12:00:00Z","total":0,"by_status":{}}}'
    )
    await register(api.here, api.workspace, Mail(NOW, State.FAILED))
    assert (await api.ok("/api/v1/mail/stats"))["data"]["by_status"] == {"failed": 1}


@pytest.mark.parametrize(("period", "days"), [("1d", 1), ("7d", 7), ("30d", 30), ("90d", 90)])
async def test_the_window_begins_and_ends_at_its_second(api: Api, period: str, days: int) -> None:
    since = NOW.replace(microsecond=0) - timedelta(days=days)
    moment = timedelta(microseconds=1)
    await register(
        api.here,
        api.workspace,
        Mail(since, State.SENT),
        Mail(since - moment),
        Mail(since - timedelta(seconds=1)),
        Mail(NOW, State.SENT),
        Mail(NOW.replace(microsecond=0) + timedelta(seconds=1)),
        Mail(NOW + timedelta(minutes=59)),
    )
    assert (await api.ok(f"/api/v1/mail/stats?period={period}"))["data"] == {
        "period": period,
        "since": since.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "total": 2,
        "by_status": {"sent": 2},
    }


async def test_any_other_period_is_seven_days(api: Api) -> None:
    await register(api.here, api.workspace, Mail(NOW - timedelta(days=6)), Mail(NOW - timedelta(days=8)))
    for query in ("", "?period=", "?period=2d", "?period=7D", "?period=%2090d", "?period=9'--", "?period=%ff"):
        data = (await api.ok(f"/api/v1/mail/stats{query}"))["data"]
        assert (data["period"], data["total"]) == ("7d", 1)


@pytest.mark.parametrize(("query", "rows"), [("", 30), ("?days=1", 1), ("?days=365", 365), ("?days=366", 365)])
async def test_rows_end_today_and_are_capped(api: Api, query: str, rows: int) -> None:
    await register(api.here, api.workspace, *(Mail(NOW - timedelta(days=n), State.SENT) for n in range(0, 400, 5)))
    data = (await api.ok(f"/api/v1/mail/stats/daily{query}"))["data"]
    today = NOW.date()
    assert [row["date"] for row in data] == [str(today - timedelta(days=n)) for n in reversed(range(rows))]
    assert [row["sent"] for row in data] == [int(n % 5 == 0) for n in reversed(range(rows))]


async def test_a_very_large_number_of_days_is_capped_too(api: Api) -> None:
    assert len((await api.ok(f"/api/v1/mail/stats/daily?days={'9' * 5000}"))["data"]) == 365


async def test_days_that_are_not_a_whole_number_are_refused_in_krafter_s_envelope(api: Api) -> None:
    for text in ("0", "-1", "abc", "", "1.5", "7d", "%207", "٣", "1&days=2"):
        status, answer = await api.get(f"/api/v1/mail/stats/daily?days={text}")
        assert (status, answer["error"]["code"]) == (400, "INVALID_PARAMETER")
        assert answer["error"]["message"].startswith("days")
        assert (list(answer), list(answer["error"])) == (["error"], ["code", "message"])


async def test_the_scope_is_mail_read(api: Api) -> None:
    for path in ("/api/v1/mail/stats", "/api/v1/mail/stats/daily"):
        status, answer = await api.get(path, sealed(api.workspace, scopes=["analytics", "track"]))
        assert (status, answer["error"]["code"], list(answer)) == (403, "FORBIDDEN", ["error"])


async def test_others_are_not_counted(api: Api) -> None:
    await register(api.here, await api.here.workspace(), Mail(NOW))
    await register(api.here, api.workspace, Mail(NOW, domain="a.example"), Mail(NOW, domain="b.example"))
    for headers, total in ((None, 2), (api.confined("a.example").headers, 1), (api.confined().headers, 0)):
        assert (await api.ok("/api/v1/mail/stats", headers))["data"]["total"] == total
        assert sum(row["queued"] for row in (await api.ok("/api/v1/mail/stats/daily", headers))["data"]) == total


moments = st.builds(
    lambda days, seconds, micros: NOW - timedelta(days=days, seconds=seconds, microseconds=micros),
    st.sampled_from([-1, 0, 0, 1, 2, 7, 30, 90, 365]),
    st.sampled_from([-86399, -3600, -901, -2, -1, 0, 0, 1, 2, 60, 900, 3600, 43200, 43201]),
    st.sampled_from([-249_999, 0, 1, 750_000, 750_001]),
)


def test_any_answer_equals_the_count(shared_postgres_dsn: str, redis_url: str) -> None:
    async def check(api: Api, held: list[Mail], mine: bool, days: int) -> None:
        api.workspace = await api.here.workspace()
        await register(api.here, api.workspace, *held)
        visible = [mail for mail in held if not mine or mail.domain == "a.example"]
        headers = api.confined("a.example").headers if mine else None
        for period in (1, 7, 30, 90):
            since = NOW.replace(microsecond=0) - timedelta(days=period)
            inside = [mail for mail in visible if since <= mail.created < NOW.replace(microsecond=0) + SECOND]
            data: Any = (await api.ok(f"/api/v1/mail/stats?period={period}d", headers))["data"]
            assert data["by_status"] == Counter(SHOWN[mail.state] for mail in inside)
            assert data["total"] == len(inside)
        rows = (await api.ok(f"/api/v1/mail/stats/daily?days={days}", headers))["data"]
        assert len(rows) == days
        for row in rows:
            found = Counter(SHOWN[mail.state] for mail in visible if str(mail.created.date()) == row["date"])
            assert {name: row[name] for name in STATUSES} == {name: found[name] for name in STATUSES}

    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        api = runner.run(stack.enter_async_context(asking(shared_postgres_dsn, redis_url, NOW, FIRST)))

        # Of one database: the messages of earlier examples are other tenants'.
        @given(
            st.lists(
                st.builds(
                    Mail,
                    created=moments,
                    state=st.sampled_from(State),
                    domain=st.sampled_from(["a.example", "b.example"]),
                    id=st.uuids(),
                ),
                max_size=25,
                unique_by=lambda mail: mail.id,
            ),
            st.booleans(),
            st.integers(1, 40),
        )
        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        def examples(held: list[Mail], mine: bool, days: int) -> None:
            runner.run(check(api, held, mine, days))

        examples()
        runner.run(stack.aclose())


SECOND = timedelta(seconds=1)
