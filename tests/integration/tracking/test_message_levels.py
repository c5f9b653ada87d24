"""`POST /v1/messages` decides at which level a message is tracked, and gives it links that say so (docs/privacy.md)."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from postmeter.shared.links.tokens import CLICK, OPEN, TOKEN_CHARS
from postmeter.shared.privacy.anonymous_sources import source_of
from postmeter.shared.privacy.levels import Choice, Level
from tests.integration.tracking_service import KEYS, WORKSPACE, Service
from tests.roles import of_service
from tests.waiting import until

HTML = '<a href="https://shop.example/a">x</a>'
MESSAGE = {"from_address": "news@shop.example", "to": "ada@mail.example", "campaign_id": "spring", "html": HTML}


@pytest.fixture
async def db(postgres_dsn: str) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    connection = await asyncpg.connect(postgres_dsn)
    yield connection
    await connection.close()


@pytest.fixture
def service(postgres_dsn: str, redis_url: str, tmp_path: Path) -> Any:
    made = Service(redis_url, tmp_path / "spool", postgres_dsn=of_service(postgres_dsn, "tracking"))
    yield made
    made.kill()


def registered(service: Service, **changes: object) -> Any:
    answer = service.post("/v1/messages", {**MESSAGE, **changes})
    assert answer.status == 201, answer.body
    return answer.json()["data"]


def signed(url: str, purpose: int, destination: str = "") -> tuple[bytes, int]:
    """What a tracking URL names, and its level."""
    token = url.partition("/api/v1/track/")[2].partition("/")[2][:TOKEN_CHARS]
    _, workspace, named, level = KEYS.verify_one_of((purpose,), token.encode(), destination.encode())
    assert workspace == WORKSPACE
    return named, level


def test_a_message_without_any_ceiling_is_tracked_in_full(service: Service) -> None:
    data = registered(service)
    assert data["tracking"] == {
        "opens": "full",
        "clicks": "full",
        "decided_by": {"opens": "workspace", "clicks": "workspace"},
    }
    assert signed(data["open_url"], OPEN)[1] == Level.FULL


def test_all_messages_of_a_campaign_have_the_same_links_where_they_may_name_nobody(service: Service) -> None:
    asked = {"tracking": {"opens": "anonymous", "clicks": "anonymous"}, "honeypot": True}
    one = registered(service, **asked)
    two = registered(service, **asked, to="eve@mail.example", template="b", provider="SES")
    other = registered(service, **asked, campaign_id="summer")
    assert one["open_url"] == two["open_url"] != other["open_url"]
    assert one["links"] == two["links"] != other["links"]
    assert one["html"] == two["html"]
    assert one["honeypot_url"] is None, "a trap tells of one message"
    named = source_of(WORKSPACE, "spring", "shop.example")
    assert signed(one["open_url"], OPEN) == (named, Level.ANONYMOUS)
    assert signed(one["links"][0]["tracking_url"], CLICK, "https://shop.example/a") == (named, Level.ANONYMOUS)
    assert one["tracking"]["decided_by"] == {"opens": "message", "clicks": "message"}


def test_a_message_that_may_not_be_tracked_stays_as_it_is(service: Service) -> None:
    data = registered(service, tracking={"opens": "off", "clicks": "off"})
    assert (data["open_url"], data["links"], data["html"]) == (None, [], HTML)
    assert data["unsubscribe"]["url"]


@pytest.mark.parametrize(
    ("tracking", "field"),
    [
        ({"opens": "some"}, "tracking.opens"),
        ({"clicks": "last_date"}, "tracking.clicks"),
        ({"clicks": 1}, "tracking.clicks"),
        ({"reads": "off"}, "tracking.reads"),
    ],
)
def test_a_level_that_there_is_not_is_refused_by_name(service: Service, tracking: object, field: str) -> None:
    answer = service.post("/v1/messages", {**MESSAGE, "tracking": tracking})
    assert (answer.status, answer.json()["error"]["field"]) == (400, field)


async def test_the_lowest_ceiling_decides_and_is_named(
    service: Service, db: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await db.execute(
        "INSERT INTO privacy_setting (workspace, opens, clicks, unknown_opens, denied_opens, denied_clicks)"
        " VALUES ($1, 1, 0, 2, 4, 3)",
        WORKSPACE,
    )
    await db.execute("INSERT INTO privacy_domain VALUES ($1, 'shop.example', 0, 1)", WORKSPACE)

    async def known() -> bool:
        tracking = registered(service)["tracking"]
        return bool((tracking["opens"], tracking["clicks"]) == ("last_date", "pseudonymous"))  # of both tables

    await until(known)
    await db.executemany(
        "INSERT INTO recipient_choice (workspace, to_hash, opens, clicks) VALUES ($1, $2, $3, $3)",
        [
            (WORKSPACE, hashlib.sha256(address).hexdigest(), int(choice))
            for address, choice in ((b"ada@mail.example", Choice.GRANTED), (b"eve@mail.example", Choice.DENIED))
        ],
    )
    listed = service.post(
        "/v1/messages",
        {
            "messages": [
                MESSAGE,
                {**MESSAGE, "to": "eve@mail.example"},
                {**MESSAGE, "to": "bob@mail.example"},
                {**MESSAGE, "from_address": "a@other.example", "tracking": {"opens": "off", "clicks": "anonymous"}},
                {**MESSAGE, "to": "nobody"},
            ]
        },
    ).json()
    assert [item["code"] for item in listed["rejected"]] == ["INVALID_FIELD"]
    assert [tuple(data["tracking"][kind] for kind in ("opens", "clicks")) for data in listed["data"]] == [
        ("pseudonymous", "pseudonymous"),
        ("off", "anonymous"),
        ("last_date", "pseudonymous"),
        ("off", "anonymous"),
    ]
    assert [tuple(data["tracking"]["decided_by"].values()) for data in listed["data"]] == [
        ("workspace", "domain"),
        ("recipient", "recipient"),
        ("recipient", "domain"),
        ("message", "message"),
    ]


async def test_what_recipients_allow_is_never_guessed_while_postgres_is_away(
    service: Service, db: "asyncpg.Connection[asyncpg.Record]", postgres_dsn: str
) -> None:
    """Of a workspace that has said nothing mail is registered as ever."""
    await db.execute("INSERT INTO privacy_setting (workspace, opens) VALUES ($1, 1)", WORKSPACE + 1)
    theirs = service.principal(workspace=WORKSPACE + 1)

    async def known() -> bool:
        answer = service.post("/v1/messages", MESSAGE, theirs).json()
        return bool(answer["data"]["tracking"]["opens"] == "pseudonymous")

    await until(known)
    own = await db.fetchval("SELECT current_database()")
    there = urlsplit(postgres_dsn)
    admin = await asyncpg.connect(there._replace(path="/postgres").geturl())
    await admin.execute(f'ALTER DATABASE "{own}" ALLOW_CONNECTIONS false')
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> $2",
        own,
        db.get_server_pid(),
    )
    try:
        registered(service)
        refused = service.post("/v1/messages", MESSAGE, theirs)
        assert (refused.status, refused.json()["error"]["code"]) == (503, "UNAVAILABLE")
        assert refused.headers["retry-after"] == "1"

        async def warned() -> bool:
            return "not currently accepting connections" in service.warnings().get("postgres", "")

        await until(warned)
    finally:
        await admin.execute(f'ALTER DATABASE "{own}" ALLOW_CONNECTIONS true')
        await admin.close()

    async def answered() -> bool:
        return bool(service.post("/v1/messages", MESSAGE, theirs).status == 201 and not service.warnings())

    await until(answered)
