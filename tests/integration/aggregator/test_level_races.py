"""What one process has believed of a message's level when another has just lowered it; and texts beside the history."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from postmeter.aggregator.errors import OutOfStep
from postmeter.aggregator.unregistered.engagement_policy import EngagementPolicy
from postmeter.shared.privacy import erasures
from postmeter.shared.privacy.anonymous_sources import source_of
from postmeter.shared.privacy.levels import Choice, Level
from postmeter.shared.stream.events import BounceType, EventType
from postmeter.shared.stream.records import MARK_BITS, Consent, Mail, Record
from tests.aggregation import AT, SECOND, Bench, bench, event, hit, registration
from tests.integration.flushes import Side, sides

HASH = "a" * 64
URL = "https://shop.example/for-ada"
MAIL = Mail("src_1", HASH, "reader.example", "news@shop.example", "shop.example", "Hello", "", "", [])
RECORDED = "SELECT count(*) FROM event WHERE type IN (10, 11)"


@pytest.fixture
async def at(postgres_dsn: str, redis_url: str) -> AsyncIterator[Bench]:
    async with bench(postgres_dsn, redis_url) as made:
        yield made


def refusal() -> Consent:
    denied = int(Choice.DENIED)
    return Consent(AT, AT, 1, HASH, b"", denied, denied, "form", "1", "shop", "key:k")


async def count(side: Side, *found: Record) -> None:
    """As a worker does: what is out of step is counted again."""
    try:
        await side.flush(list(found))
    except OutOfStep:
        await side.flush(list(found))


HITS: list[tuple[str, dict[str, Any]]] = [
    ("a machine's open", {"prefetch": True}),
    ("a machine's click", {"prefetch": True, "url": URL}),
    ("a person's open", {}),
]


@pytest.mark.parametrize("changes", [changes for _, changes in HITS], ids=[name for name, _ in HITS])
async def test_what_another_process_has_lowered_is_not_recorded(at: Bench, changes: dict[str, Any]) -> None:
    """Also where nothing else of the message changes, so that nobody would ask for it."""
    async with sides(at, 2) as (one, other):
        await count(one, registration(1, to_hash=HASH), hit(1))
        await count(other, refusal())
        before = await at.db.fetchval(RECORDED)
        for n in range(2, 5):
            await count(one, hit(1, AT + n * SECOND, **changes))
        assert await at.db.fetchval(RECORDED) == before == 1


async def test_what_only_the_history_would_hold_is_not_recorded_either(at: Bench) -> None:
    await at.db.execute("INSERT INTO workspace (number, id, name) OVERRIDING SYSTEM VALUE VALUES (1, 'a', '')")
    await at.db.execute(
        "INSERT INTO webhook_source (id, workspace, provider, name, secret, engagement)"
        " VALUES ('src_1', 1, 'sendgrid', '', '', 'provider')"
    )
    async with sides(at, 2) as (one, other):
        await count(one, registration(1, to_hash=HASH), hit(1))
        await count(other, refusal())
        before = await at.db.fetchval(RECORDED)
        await count(one, hit(1, AT + 2 * SECOND))
        assert await at.db.fetchval(RECORDED) == before == 1


async def test_what_is_lowered_while_a_webhooks_open_is_counted(at: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    told = event(
        EventType.OPENED, None, AT + SECOND, provider="SENDGRID", provider_message="sg-1", mail=MAIL,
        user_agent=b"Thunderbird",
    )  # fmt: skip
    async with sides(at, 2) as (one, other):
        await one.flush([registration(1, to_hash=HASH, tracks_opens=False)])
        kept, met = EngagementPolicy.kept, list[bool]()

        async def between(self: EngagementPolicy, *given: Any) -> Any:
            if not met:
                met.append(True)
                await other.flush([refusal()])
            return await kept(self, *given)

        monkeypatch.setattr(EngagementPolicy, "kept", between)
        await count(one, told)
    assert met
    assert await at.db.fetchval(RECORDED) == 0


async def test_no_text_stands_beside_a_history_that_is_not_kept(at: Bench) -> None:
    off = registration(1, to_hash=HASH, opens=int(Level.OFF), clicks=int(Level.OFF))
    full = registration(2, to_hash="b" * 64)
    async with sides(at, 2) as (one, other):
        await count(one, off, full)
        await count(one, hit(1, url=URL, user_agent=b"Ada's own/1"))
        await count(one, refusal())
        await count(other, hit(1, url=URL, user_agent=b"Ada's own/1"))
        assert await at.db.fetch("SELECT url FROM link") == []
        await count(other, hit(2, url="https://shop.example/all", user_agent=b"Thunderbird"))
    assert [row["url"] for row in await at.db.fetch("SELECT url FROM link")] == ["https://shop.example/all"]
    assert await at.db.fetchval("SELECT count(*) FROM history WHERE url = 'https://shop.example/all'") == 1


async def test_a_full_waiting_room_puts_nothing_aside_that_may_not_be_kept(at: Bench) -> None:
    at.settings = replace(at.settings, waiting_limit=0)
    await at.db.execute("INSERT INTO privacy_setting (workspace, opens, clicks) VALUES (1, 4, 4)")
    async with sides(at, 1) as (side,):
        await side.flush([hit(1), hit(2, mark=Level.OFF << MARK_BITS), hit(3, mark=Level.ANONYMOUS << MARK_BITS)])
        await side.flush([event(EventType.DELIVERED, 4)])
    assert [row["reason"] for row in await at.db.fetch("SELECT reason FROM dead_letter")] == ["waiting room full"]


async def test_a_confined_key_changes_nothing_of_anothers_anonymous_numbers(at: Bench) -> None:
    asked = {"opens": int(Level.ANONYMOUS), "clicks": int(Level.ANONYMOUS)}
    other = registration(2, **asked, from_domain="other.example", confined=True, provider="X", template="y")
    theirs = source_of(1, "spring", "other.example", confined=True)
    async with sides(at, 1) as (side,):
        await side.flush([registration(1, **asked), other])
        for source in (source_of(1, "spring", "shop.example"), theirs):
            await side.flush([hit(1, message=source, mark=Level.ANONYMOUS << MARK_BITS)])
    rows = await at.db.fetch(
        "SELECT s.domain, s.template, a.anonymous_opens FROM activity_1d a"
        " JOIN series s ON s.workspace = a.workspace AND s.id = a.series WHERE a.anonymous_opens > 0 ORDER BY 1"
    )
    assert [tuple(row) for row in rows] == [("other.example", "y", 1), ("shop.example", "welcome", 1)]


async def test_a_registration_that_comes_after_its_recipients_erasure_is_known_as_erased(at: Bench) -> None:
    """Whatever its levels: no text of it is kept, whoever tells it."""
    await at.db.execute(
        "INSERT INTO erased (workspace, digest, at) VALUES (1, $1, now() + interval '1 hour')",
        erasures.of_recipient(1, HASH),
    )
    async with sides(at, 1) as (side,):
        await side.flush([registration(1, to_hash=HASH)])
        reason = "Dear Ada, no such user"
        await side.flush([event(EventType.BOUNCED, 1, AT + SECOND, bounce=int(BounceType.HARD), reason=reason)])
        await side.flush([event(EventType.CLICKED, 1, AT + SECOND, url=URL)])
    assert await at.db.fetchval("SELECT flags & 1024 FROM message") == 1024
    assert await at.db.fetch("SELECT reason FROM event WHERE reason <> ''") == []
    assert await at.db.fetch("SELECT url FROM link") == []
