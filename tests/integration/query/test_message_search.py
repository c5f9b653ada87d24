"""POST /v1/messages/search over real HTTP: pages while mail goes on, what a page may cost, what is refused.

Which messages are found, by what, is the oracle's (test_oracle.py).
"""

import base64
import json
import random
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postmeter.query.documents.native import message_search, stretches
from postmeter.shared.stream.events import Engagement, State
from tests.integration.query_api import Api
from tests.integration.running_query import sealed
from tests.integration.stored_messages import Mail, asking, register

NOW = datetime(2026, 5, 20, 10, 20, 30, tzinfo=UTC)
MOMENTS = [NOW - hours * timedelta(hours=1) for hours in (0, 0.5, 1, 30, 31, 200, 400)]
"""Few, so that many messages have one; hours apart, so that there are stretches without any."""
PATH = "/v1/messages/search"


@pytest.fixture
async def api(shared_postgres_dsn: str, redis_url: str) -> AsyncIterator[Api]:
    async with asking(shared_postgres_dsn, redis_url, NOW, (NOW - timedelta(days=40)).date()) as made:
        yield made


async def ask(api: Api, headers: dict[str, str] | None = None, /, **body: Any) -> tuple[int, Any]:
    headers = sealed(api.workspace) if headers is None else headers
    async with api.session.post(api.url + PATH, json=body, headers=headers) as answer:
        return answer.status, json.loads(await answer.read())


def mails(chance: random.Random, n: int) -> list[Mail]:
    """Of any domain, state and moment, also moments between those of others."""
    return [
        Mail(
            chance.choice(MOMENTS) + chance.choice((0, 0, 1)) * timedelta(microseconds=chance.randint(-9, 9)),
            chance.choice((State.DELIVERED, State.COMPLAINED)),
            chance.choice(("a.example", "b.example")),
            to_hash=f"{chance.getrandbits(256):064x}",
        )
        for _ in range(n)
    ]


async def open_some(api: Api, found: list[Mail], chance: random.Random) -> set[uuid.UUID]:
    opened = [mail.id for mail in found if chance.random() < 0.4]
    await api.here.pool.executemany(
        "INSERT INTO engagement (workspace, message, kind, at, series) VALUES ($1, $2, $3, $4, 1)",
        [(api.workspace, message, Engagement.OPEN, NOW) for message in opened],
    )
    return set(opened)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32),
    limit=st.integers(1, 6),
    examined=st.sampled_from([1, 3, 20, message_search.EXAMINED]),
    engagement=st.sampled_from([None, "opened", "not_opened", "complained"]),
    domain=st.sampled_from([None, "a.example"]),
    counts=st.sampled_from([1, 4, stretches.MAX_COUNTS]),
    closely=st.sampled_from([1, stretches.CLOSELY]),
)
async def test_every_message_comes_once_whatever_is_registered_meanwhile(
    api: Api,
    seed: int,
    limit: int,
    examined: int,
    engagement: str | None,
    domain: str | None,
    counts: int,
    closely: int,
) -> None:
    chance, api.workspace = random.Random(seed), await api.here.workspace()
    before = mails(chance, chance.choice((0, 5, 25)))
    await register(api.here, api.workspace, *before)
    opened = await open_some(api, before, chance)
    wanted = {
        mail.id
        for mail in before
        if (domain is None or mail.domain == domain)
        and (engagement != "complained" or mail.state is State.COMPLAINED)
        and (engagement not in ("opened", "not_opened") or (mail.id in opened) == (engagement == "opened"))
    }
    created = {mail.id: mail.created for mail in before}
    body: dict[str, Any] = {"limit": limit, "engagement": engagement, "filters": {"domain": [domain]} if domain else {}}
    found: list[uuid.UUID] = []
    message_search.EXAMINED, usual = examined, message_search.EXAMINED
    usually = stretches.MAX_COUNTS, stretches.CLOSELY
    stretches.MAX_COUNTS, stretches.CLOSELY = counts, closely
    try:
        cursor = None
        for _ in range(500):
            status, page = await ask(api, **body, **({"cursor": cursor} if cursor else {}))
            assert status == 200, page
            assert len(page["data"]) <= limit
            found += [uuid.UUID(message["id"]) for message in page["data"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
            if chance.random() < 0.2:  # mail goes on, also mail of an earlier time
                more = mails(chance, 2)
                await register(api.here, api.workspace, *more)
                created |= {mail.id: mail.created for mail in more}
    finally:
        message_search.EXAMINED = usual
        stretches.MAX_COUNTS, stretches.CLOSELY = usually
    assert cursor is None, "the pages do not end"
    assert len(found) == len(set(found))
    assert [message for message in found if message in wanted] == [m for m in in_order(created) if m in wanted]
    assert found == [message for message in in_order(created) if message in set(found)]


def in_order(created: dict[uuid.UUID, datetime]) -> list[uuid.UUID]:
    """The latest first, those of one moment by their ids."""
    return sorted(sorted(created), key=lambda message: created[message], reverse=True)


async def test_a_page_reads_so_many_messages_and_no_more(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """However rare it is that is searched for: the page says where it stopped."""
    monkeypatch.setattr(message_search, "EXAMINED", 4)
    at = [NOW - n * timedelta(seconds=1) for n in range(9)]
    sent = [Mail(one, State.COMPLAINED if n == 5 else State.DELIVERED) for n, one in enumerate(at)]
    await register(api.here, api.workspace, *sent)
    pages, cursor = list[list[str]](), None
    while not pages or cursor:
        _, page = await ask(api, engagement="complained", **({"cursor": cursor} if cursor else {}))
        cursor = page["next_cursor"]
        pages.append([message["id"] for message in page["data"]])
    assert pages == [[], [str(sent[5].id)], []]


async def test_a_cursor_tells_nothing_of_messages_that_the_key_does_not_see(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page may end with one of another domain, and whoever asks has the cursor in hand."""
    monkeypatch.setattr(message_search, "EXAMINED", 2)
    others = [Mail(NOW - n * timedelta(seconds=1), domain="b.example") for n in (1, 2)]
    await register(api.here, api.workspace, Mail(NOW - timedelta(seconds=9), domain="a.example"), *others)
    _, page = await ask(api, api.confined("a.example").headers)
    assert page["data"] == []
    told = base64.urlsafe_b64decode(page["next_cursor"] + "==")
    assert not any(one.id.hex.encode() in told for one in others)


async def test_no_more_counts_are_read_than_are_worth_it(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand series with mail in each hour of a year have ten million, which took longer than a statement may."""
    await register(api.here, api.workspace, *(Mail(NOW - n * timedelta(hours=30)) for n in range(20)))
    monkeypatch.setattr(stretches, "MAX_COUNTS", 5)
    async with api.here.pool.acquire() as connection:
        series = [
            row["id"] for row in await connection.fetch("SELECT id FROM series WHERE workspace = $1", api.workspace)
        ]
        wanted = stretches.Selection(api.workspace, series, None, NOW - timedelta(days=30), NOW)
        assert [(part.low, part.high) for part in await stretches.of(connection, wanted)] == [
            (wanted.start, wanted.end)
        ]


async def test_what_is_not_counted_any_more_is_read(api: Api) -> None:
    """Messages may be kept for longer than the counts of quarter-hours, and even of days."""
    await register(api.here, api.workspace, Mail(MOMENTS[-1], State.COMPLAINED), Mail(NOW, State.COMPLAINED))
    await api.here.pool.execute("DELETE FROM cohort_created_15m WHERE workspace = $1", api.workspace)
    _, page = await ask(api, engagement="complained")
    assert len(page["data"]) == 2
    months = await api.here.pool.fetch("SELECT tablename FROM pg_tables WHERE tablename LIKE 'cohort_created_1d_2%'")
    for row in months:
        if row["tablename"] < f"cohort_created_1d_{NOW:%Y%m}":
            await api.here.pool.execute(f"DROP TABLE {row['tablename']}")
    early = Mail(NOW - timedelta(days=25), State.COMPLAINED)  # of the month before
    await register(api.here, api.workspace, Mail(NOW))
    await api.here.pool.execute(
        "INSERT INTO message SELECT workspace, $2, series, state, campaign, from_address, to_hash, to_domain, subject,"
        " provider, provider_account, provider_message, template, tags, $3, sent_at, delivered_at FROM mail"
        " WHERE workspace = $1 AND state = 8 LIMIT 1",
        *(api.workspace, early.id, early.created),
    )
    _, page = await ask(api, engagement="complained")
    assert [message["id"] for message in page["data"]][2:] == [str(early.id)]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"limit": 0}, "limit"),
    ({"limit": 1001}, "limit"),
    ({"limit": "x"}, "limit"),
    ({"engagement": "seen"}, "engagement"),
    ({"filters": {"link": ["https://a.example/"]}}, "filters"),
    ({"filters": {"domain": []}}, "filters.domain"),
    ({"from": "2026-05-01T00:00:00"}, "from"),
    ({"from": "2026-05-02", "to": "2026-05-01"}, "to"),
    ({"from": "2027-05-02"}, "from"),
    ({"campaign": "spring"}, "campaign"),
    ({"cursor": "x"}, "cursor"),
]


async def test_what_is_wrong_is_named(api: Api) -> None:
    for body, field in REFUSED:
        status, answer = await ask(api, **body)
        assert (status, answer["error"]["field"]) == (400, field), answer


async def test_a_cursor_is_of_one_search_and_one_key(api: Api) -> None:
    await register(api.here, api.workspace, *(Mail(NOW) for _ in range(3)))
    _, page = await ask(api, limit=1)
    cursor = page["next_cursor"]
    confined = api.confined("example.com").headers
    for headers, changes in ((None, {"engagement": "opened"}), (None, {"to": "2026-05-21"}), (confined, {})):
        status, answer = await ask(api, headers, cursor=cursor, **changes)
        assert (status, answer["error"]["code"]) == (400, "INVALID_CURSOR")
    assert [len((await ask(api, limit=limit, cursor=cursor))[1]["data"]) for limit in (1, 7)] == [1, 2]
