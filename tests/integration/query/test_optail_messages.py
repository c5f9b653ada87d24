"""Optail's list of messages over real HTTP: its pages, filters and mistakes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postmeter.query.documents.optail import subjects as subjects_read
from postmeter.shared.stream.events import State
from tests.integration.optail_mail import AT, FIRST, NOW, the_document_s
from tests.integration.query_api import Api
from tests.integration.running_query import Workspaces, query_service
from tests.integration.stored_messages import Mail, an_id, asking, register
from tests.waiting import until

# Written down a second time (semantics.md).
STATUS = {
    State.QUEUED: "QUEUED",
    State.SENDING: "SENDING",
    State.SENT: "SENT",
    State.SOFT_BOUNCED: "BOUNCED",
    State.HARD_BOUNCED: "BOUNCED",
    State.DELIVERED: "DELIVERED",
    State.COMPLAINED: "DELIVERED",
    State.FAILED: "FAILED",
}


@pytest.fixture
async def api(shared_postgres_dsn: str, redis_url: str) -> AsyncIterator[Api]:
    async with asking(shared_postgres_dsn, redis_url, NOW, FIRST) as made:
        yield made


async def test_the_list_as_the_document_prints_it(api: Api) -> None:
    mail = the_document_s()
    older = (Mail(AT - timedelta(hours=5 * n, seconds=n), State.SENT) for n in range(1, 142))
    await register(api.here, api.workspace, mail, *older)
    text = await api.text("/v1/messages")
    assert text.startswith(
        f'{{"data":[{{"id":"{mail.id}","providerAccountId":"pa-uuid","fromAddress":"hello@yourdomain.com",'
        f'"toHash":"{"a" * 64}","subject":"Welcome!","status":"DELIVERED","tags":["welcome"],'
        '"providerMessageId":"provider-id","createdAt":"2025-01-15T10:00:00Z","sentAt":"2025-01-15T10:00:01Z",'
        '"deliveredAt":"2025-01-15T10:00:03Z"},'
    )
    assert text.endswith('"pagination":{"page":1,"limit":20,"total":142,"totalPages":8}}')


async def test_the_last_page_and_the_one_beyond_it(api: Api) -> None:
    await register(api.here, api.workspace, *(Mail(AT + timedelta(seconds=n)) for n in range(142)))
    last = await api.ok("/v1/messages?page=8")
    assert len(last["data"]) == 2
    beyond = await api.ok("/v1/messages?page=9")
    assert (beyond["data"], beyond["pagination"]["total"]) == ([], 142)


async def test_what_a_message_does_not_have_is_null(api: Api) -> None:
    await register(api.here, api.workspace, Mail(AT, provider=""))
    (row,) = (await api.ok("/v1/messages"))["data"]
    nulls = ("providerAccountId", "providerMessageId", "sentAt", "deliveredAt")
    assert [row[name] for name in nulls] == [None] * 4
    assert (row["status"], row["tags"]) == ("QUEUED", [])


async def test_an_empty_workspace_has_no_pages(api: Api) -> None:
    for query in ("", "?search=x", "?status=FAILED", "?page=1000000000&limit=100&search=x"):
        answer = await api.ok(f"/v1/messages{query}")
        assert (answer["data"], answer["pagination"]["total"], answer["pagination"]["totalPages"]) == ([], 0, 0)


def on_page(mails: list[Mail], page: int, limit: int) -> list[str]:
    newest = sorted(mails, key=lambda mail: (mail.created, mail.id.int), reverse=True)
    return [str(mail.id) for mail in newest[(page - 1) * limit : page * limit]]


# Close together and far apart: the same moment, second, quarter-hour, hour, day, another month.
moments = st.builds(
    lambda seconds, micros: AT - timedelta(seconds=seconds, microseconds=micros),
    st.sampled_from([0, 0, 1, 2, 59, 899, 900, 901, 3599, 3600, 3601, 86399, 86400, 40 * 86400]),
    st.sampled_from([0, 0, 1, 999_999]),
)
mails = st.builds(
    Mail,
    created=moments,
    state=st.sampled_from(State),
    domain=st.sampled_from(["a.example", "b.example"]),
    provider=st.sampled_from(["", "SES"]),
    subject=st.sampled_from(["", "Hello", "hello there", "100%"]),
    id=st.uuids(),
)


def test_every_page_equals_the_sorted_list(shared_postgres_dsn: str, redis_url: str) -> None:
    async def check(api: Api, held: list[Mail], limit: int, asked: dict[str, Any], mine: bool) -> None:
        api.workspace = await api.here.workspace()
        await register(api.here, api.workspace, *held)
        wanted = [
            mail
            for mail in held
            if (asked.get("status") in (None, STATUS[mail.state]))
            and asked.get("search", "").lower() in mail.subject.lower()
            and (not mine or mail.domain == "a.example")
        ]
        query = "".join(f"&{name}={quote(value)}" for name, value in asked.items())
        pages = -(-len(wanted) // limit)
        for page in range(1, pages + 2):
            answer = await api.ok(
                f"/v1/messages?page={page}&limit={limit}{query}", api.confined("a.example").headers if mine else None
            )
            assert [row["id"] for row in answer["data"]] == on_page(wanted, page, limit)
            assert answer["pagination"] == {"page": page, "limit": limit, "total": len(wanted), "totalPages": pages}

    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        api = runner.run(stack.enter_async_context(asking(shared_postgres_dsn, redis_url, NOW, FIRST)))

        # Of one database: the messages of earlier examples are other tenants'.
        @given(
            st.lists(mails, max_size=25, unique_by=lambda mail: mail.id),
            st.integers(1, 9),
            st.fixed_dictionaries(
                {},
                optional={
                    "status": st.sampled_from(sorted(set(STATUS.values()))),
                    "search": st.sampled_from(["", "hell", "HELLO T", "%", "_", "0%"]),
                },
            ),
            st.booleans(),
        )
        @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
        def examples(held: list[Mail], limit: int, asked: dict[str, Any], mine: bool) -> None:
            runner.run(check(api, held, limit, asked, mine))

        examples()
        runner.run(stack.aclose())


async def test_a_page_is_found_without_reading_what_comes_before_it(api: Api) -> None:
    """Messages that are counted but gone do no harm to a page without them: so they were not read."""
    held = [
        Mail(AT + timedelta(seconds=7 * n), State.FAILED if n % 50 == 0 else State.SENT, id=an_id(AT))
        for n in range(300)
    ]
    await register(api.here, api.workspace, *held)
    failed = [mail for mail in held if mail.state is State.FAILED]
    deep, rare = on_page(held, 14, 20), on_page(failed, 2, 2)
    await api.here.pool.execute(
        "DELETE FROM message WHERE workspace = $1 AND NOT id = ANY ($2::uuid[])", api.workspace, deep + rare
    )
    answer = await api.ok("/v1/messages?page=14&limit=20")
    assert ([row["id"] for row in answer["data"]], answer["pagination"]["total"]) == (deep, 300)
    answer = await api.ok("/v1/messages?page=2&limit=2&status=FAILED")
    assert ([row["id"] for row in answer["data"]], answer["pagination"]["total"]) == (rare, 6)


@pytest.mark.parametrize("gone", [["1s"], ["15m"], ["1s", "15m"]])
async def test_counts_that_are_not_kept_any_more_are_done_without(api: Api, gone: list[str]) -> None:
    held = [Mail(AT + timedelta(seconds=1300 * n), State.SENT if n % 3 else State.FAILED) for n in range(200)]
    await register(api.here, api.workspace, *held)
    for tier in gone:
        await api.here.pool.execute(
            f"DELETE FROM cohort_created_{tier} WHERE workspace = $1 AND bucket < $2",
            api.workspace,
            AT + timedelta(days=1),
        )
    for page in (1, 5, 10, 16, 20):
        answer = await api.ok(f"/v1/messages?page={page}&limit=10")
        assert [row["id"] for row in answer["data"]] == on_page(held, page, 10)
    failed = [mail for mail in held if mail.state is State.FAILED]
    for page in (1, 4, 7):
        answer = await api.ok(f"/v1/messages?page={page}&limit=10&status=FAILED")
        assert [row["id"] for row in answer["data"]] == on_page(failed, page, 10)


async def test_messages_that_were_dropped_are_not_counted(api: Api) -> None:
    old = datetime(2024, 12, 5, tzinfo=UTC)
    await register(api.here, api.workspace, Mail(AT, id=an_id(AT)), Mail(old, id=an_id(old)))
    assert (await api.ok("/v1/messages"))["pagination"]["total"] == 2
    months = await api.here.pool.fetch(
        "SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid"
        " WHERE inhparent = 'message'::regclass AND relname ~ '^message_[0-9]{6}$' AND relname < 'message_202501'"
    )
    for month in months:
        await api.here.pool.execute("SELECT postmeter_drop_partition('message', $1)", month["relname"])
    answer = await api.ok("/v1/messages")
    assert (len(answer["data"]), answer["pagination"]["total"]) == (1, 1)


async def test_total_and_page_are_of_one_moment(api: Api) -> None:
    """A message that comes while a page is being found is in neither."""
    await register(api.here, api.workspace, Mail(AT), Mail(AT))
    async with api.here.pool.acquire() as connection:
        turn = connection.transaction()
        await turn.start()
        await connection.execute("LOCK TABLE cohort_created_15m IN ACCESS EXCLUSIVE MODE")
        asked = asyncio.create_task(api.ok("/v1/messages"))

        async def waits() -> bool:
            return bool(await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

        await until(waits)
        await register(_Same(connection), api.workspace, Mail(AT))  # type: ignore[arg-type]  # all of a Workspaces that it asks
        await turn.commit()
    answer = await asked
    assert (len(answer["data"]), answer["pagination"]["total"]) == (2, 2)
    assert (await api.ok("/v1/messages"))["pagination"]["total"] == 3


class _Same:
    """A Workspaces whose pool is one connection that is in use."""

    def __init__(self, connection: Any) -> None:
        self.pool = self
        self._connection = connection

    def acquire(self) -> "_Same":
        return self

    async def __aenter__(self) -> Any:
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        pass


FOUND = {
    "welcome": ["Welcome!"],
    "WELCOME!": ["Welcome!"],
    "Wel%": [],
    "_": ["a_b"],
    "%": ["100% off"],
    "\\": ["back\\slash"],
    "übergröße": ["ÜBERGRÖßE"],
    "ПРИВЕТ": ["Привет, мир"],
    "Σ": ["ςa"],
    "' OR ''='": [],
    "🎉": ["🎉 party"],
}


@pytest.mark.parametrize(
    "reads",
    ["few messages", "all messages, for many subjects", "all messages, for lack of subjects", "those of domains"],
)
async def test_search_takes_a_part_of_the_subject_as_it_is_in_any_case(
    api: Api, monkeypatch: pytest.MonkeyPatch, reads: str
) -> None:
    if reads == "all messages, for many subjects":
        monkeypatch.setattr(subjects_read, "MAX_KEYS", 0)
    elif reads == "all messages, for lack of subjects":
        async with api.here.pool.acquire() as connection:
            await connection.execute("INSERT INTO subject_excess VALUES ($1)", api.workspace)
    elif reads == "those of domains":
        api = api.confined("example.com")
    subjects = [*(subject for found in FOUND.values() for subject in found), ""]
    await register(api.here, api.workspace, *(Mail(AT, subject=subject) for subject in set(subjects)))
    for search, found in FOUND.items():
        answer = await api.ok(f"/v1/messages?search={quote(search)}")
        assert [row["subject"] for row in answer["data"]] == found
        assert answer["pagination"]["total"] == len(found)


async def test_a_search_reads_only_messages_with_the_subjects_that_it_finds(api: Api) -> None:
    """None where no subject is found, though the messages cannot be read."""
    await register(api.here, api.workspace, Mail(AT, subject="Hello"))
    other = await api.here.workspace()
    await register(api.here, other, Mail(AT, subject="Good-bye"))
    async with api.here.pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE message IN ACCESS EXCLUSIVE MODE")
        assert (await api.ok("/v1/messages?search=bye"))["pagination"]["total"] == 0


async def test_a_confined_search_reads_no_subject_of_others(api: Api) -> None:
    """Else the time that it takes would tell what they hold: it is the same work, whatever is searched for."""
    mine = [Mail(AT - timedelta(days=n), domain="a.example", subject="Good-bye") for n in (0, 1, 2, 9)]
    await register(api.here, api.workspace, *mine, *(Mail(AT, domain="b.example", subject="Good-bye") for _ in "abc"))
    mine_only = api.confined("a.example")
    async with api.here.pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE subject IN ACCESS EXCLUSIVE MODE")
        answer = await mine_only.ok("/v1/messages?search=bye&limit=3")
    assert [row["id"] for row in answer["data"]] == [str(mail.id) for mail in mine[:3]]
    assert answer["pagination"]["total"] == len(mine)


async def test_an_empty_search_is_none(api: Api) -> None:
    await register(api.here, api.workspace, Mail(AT, subject=""), Mail(AT))
    assert (await api.ok("/v1/messages?search="))["pagination"]["total"] == 2


async def test_search_and_status_together(api: Api) -> None:
    await register(
        api.here, api.workspace, Mail(AT, State.SENT), Mail(AT, State.FAILED), Mail(AT, State.FAILED, subject="Bye")
    )
    answer = await api.ok("/v1/messages?search=hello&status=FAILED")
    assert [(row["subject"], row["status"]) for row in answer["data"]] == [("Hello", "FAILED")]


MISTAKES = [
    *((f"{name}={text}", name) for name in ("page", "limit") for text in ("0", "-1", "abc", "", "1.5", "%201", "٣")),
    (f"page={10**9 + 1}", "page"),
    (f"page={'9' * 5000}", "page"),
    ("page=1&page=2", "page"),
    ("status=delivered", "status"),
    ("status=COMPLAINED", "status"),
    ("status=", "status"),
    ("search=a%00b", "search"),
    ("search=a&search=b", "search"),
]


async def test_each_mistake_is_explained_in_optail_s_envelope(api: Api) -> None:
    for query, name in MISTAKES:
        status, answer = await api.get(f"/v1/messages?{query}")
        assert (status, answer["error"]["code"]) == (400, "INVALID_PARAMETER"), answer
        assert answer["error"]["message"].startswith(name)
        assert (list(answer), list(answer["error"])) == (["error"], ["code", "message"])


async def test_the_limit_is_capped(api: Api) -> None:
    await register(api.here, api.workspace, *(Mail(AT) for _ in range(101)))
    for limit in ("100", "101", str(10**9), "0" * 9 + "5" * 5000):
        answer = await api.ok(f"/v1/messages?limit={limit}")
        assert (len(answer["data"]), answer["pagination"]["limit"], answer["pagination"]["totalPages"]) == (100, 100, 2)


async def test_bytes_that_are_not_text_find_nothing(api: Api) -> None:
    await register(api.here, api.workspace, Mail(AT))
    for text in ("%ff", "%ed%a0%80", "%c0%80"):
        assert (await api.get(f"/v1/messages?search={text}"))[0] in (200, 400)


async def test_a_search_that_takes_too_long_says_what_to_do(api: Api, redis_url: str, shared_postgres_dsn: str) -> None:
    await register(api.here, api.workspace, Mail(AT, subject="x"))
    impatient = {"statement_timeout": "100"}
    async with (
        asyncpg.create_pool(shared_postgres_dsn, min_size=1, max_size=1, server_settings=impatient) as pool,
        api.here.pool.acquire() as connection,
        connection.transaction(),
        query_service(Workspaces(pool), redis_url, NOW) as api.url,
    ):
        await connection.execute("LOCK TABLE message IN ACCESS EXCLUSIVE MODE")
        status, answer = await api.get("/v1/messages?search=x")
    assert (status, answer["error"]["code"]) == (504, "QUERY_TIMEOUT")
    assert "narrow" in answer["error"]["message"]
