"""A recipient is erased: nothing that identifies stays, every sum does, and what comes late brings nothing back."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec
import pytest

from postmeter.aggregator import held
from postmeter.aggregator.errors import OutOfStep
from postmeter.aggregator.store import dedup
from postmeter.aggregator.stream import reader
from postmeter.aggregator.upkeep.erasure import job, late
from postmeter.aggregator.upkeep.erasure.step import Step
from postmeter.shared.stream import source_log, streams
from postmeter.shared.stream.events import BounceType, EventType
from postmeter.shared.stream.records import Consent, CustomEvent, Mail, Record, Registration
from tests.aggregation import AT, SECOND, Bench, bench, event, hit, message, registration
from tests.integration.aggregator_sums import sums
from tests.integration.contact_records import purchase
from tests.integration.erasing import erasures
from tests.integration.flushes import sides
from tests.markers import Markers
from tests.waiting import until

HASH = "ada0" * 16
OTHER = "b0b0" * 16
REF, SUBJECT, NAME, OWN_LINK = "ref-of-ada-7781", "Dear Ada Lovelace", "esp-name-of-ada", "https://a.example/for-ada"
LATE_NAME, STRANGE_NAME = "esp-late-of-ada", "esp-strange-of-ada"
MARKERS = Markers(HASH, REF, "Ada Lovelace", NAME, OWN_LINK, "ada-order", "ada-property", "ada-item", STRANGE_NAME)
SOURCE = (
    "INSERT INTO webhook_source (id, workspace, provider, name, secret) VALUES ('src1', 1, 'postmark', '', '')"
    " RETURNING id"
)
SHARED_LINK = "https://a.example/for-all"


@pytest.fixture
async def at(postgres_dsn: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr(reader, "TRIM_MARGIN_MS", 0)
    monkeypatch.setattr(held, "TRIM_SECONDS", 0.2)
    async with bench(postgres_dsn, redis_url) as made:
        await made.db.execute("INSERT INTO workspace (id, name) VALUES ('shop', 'Shop')")
        yield made


def mail(to_hash: str = HASH, **changes: Any) -> Mail:
    given = Mail(
        "src", to_hash, "lovelace.example", "n@shop.example", "shop.example", SUBJECT, campaign="", template="", tags=[]
    )
    return msgspec.structs.replace(given, **changes)


def told(kind: EventType, name: str, when: int = AT + 50 * SECOND, **changes: Any) -> Record:
    """What a provider tells of mail to Ada."""
    given = {"provider": "POSTMARK", "provider_message": name, "mail": mail(), "reason": f"smtp; {SUBJECT}"}
    return event(kind, None, when, **given | changes)


def of_ada(n: int, **changes: Any) -> Registration:
    given = {"to_hash": HASH, "to_domain": "lovelace.example", "subject": SUBJECT, "recipient_ref": REF}
    return registration(n, **given | {"provider_message": f"{NAME}-{n}"} | changes)


def custom(contact: str, received: int = AT) -> CustomEvent:
    of_whom = "ada" if contact == HASH else "bob"
    return CustomEvent(AT, received, 1, uuid.uuid4().hex, "seen", contact, f'{{"x": "{of_whom}-property"}}', None)


def bought(contact: str, name: str, received: int = AT) -> Record:
    about: dict[str, Any] = {"order": f"ada-order-{name}", "items": '[{"x": "ada-item"}]', "received": received}
    return purchase(name, contact, AT, "9.00", **about)


async def plant(at: Bench) -> None:
    """Ada and somebody else through every door of the streams."""
    await at.streams.append(
        0,
        *(of_ada(n) for n in range(1, 251)),  # more than one step takes
        registration(900, to_hash=OTHER),
        *(hit(n, AT + n * SECOND) for n in range(1, 40)),
        hit(1, AT + 99 * SECOND, url=OWN_LINK),
        hit(2, AT + 99 * SECOND, url=OWN_LINK),
        hit(2, AT + 98 * SECOND, url=SHARED_LINK),
        hit(900, AT + 99 * SECOND, url=SHARED_LINK),
        event(EventType.DELIVERED, 1, AT + SECOND),
        event(EventType.BOUNCED, 3, AT + SECOND, bounce=BounceType.HARD, reason=f"no such user {SUBJECT}"),
        told(EventType.SENT, STRANGE_NAME),
        told(EventType.OPENED, STRANGE_NAME, user_agent=b"Thunderbird"),
        bought(HASH, "a"),
        custom(HASH),
        custom(OTHER),
        # These wait for what nobody knows, or for the one message of many that is meant.
        event(EventType.DELIVERED, 70_000, AT, mail=mail()),
        event(EventType.BOUNCED, None, AT, bounce=BounceType.HARD, provider="POSTMARK", mail=mail()),
        # Two with one key: the second becomes a dead letter.
        event(EventType.DELIVERED, 4, AT, key=b"k" * 16, digest=b"1" * 8, mail=mail()),
        event(EventType.DELIVERED, 4, AT, key=b"k" * 16, digest=b"2" * 8, mail=mail()),
    )
    await at.counted()

    async def attributed() -> bool:
        return bool(await at.value("SELECT count(*) FROM purchase WHERE resolved_at IS NOT NULL") == 1)

    await until(attributed)
    for one in (HASH, OTHER):
        await at.db.execute(
            "INSERT INTO consent (workspace, to_hash, opens, method, text_version, source, at, recorded_by)"
            " VALUES (1, $1, 1, 'form', '1', 'web', now(), 'key:1')",
            one,
        )
        await at.db.execute("INSERT INTO recipient_choice (workspace, to_hash, opens) VALUES (1, $1, 1)", one)
        await at.db.execute("INSERT INTO last_open VALUES (1, $1, now())", one)
    source = await at.value(SOURCE)
    await source_log.note_unread(at.client, source, [source_log.Unread(AT, "?", json.dumps({"to_hash": HASH}))])
    await at.client.xadd(streams.live_events(1), {"e": json.dumps([OWN_LINK])})
    assert await MARKERS.in_redis(at.client) != []


async def erase(at: Bench, to_hash: str = HASH) -> uuid.UUID:
    job = uuid.uuid4()
    query = "INSERT INTO erasure (workspace, id, to_hash, requested_by) VALUES (1, $1, $2, 'key:1')"
    await at.db.execute(query, job, to_hash)
    return job


async def done(at: Bench, job: uuid.UUID) -> dict[str, int]:
    """What was removed, once it is completed."""

    async def completed() -> bool:
        return bool(await at.value("SELECT completed_at IS NOT NULL FROM erasure WHERE id = $1", job))

    await until(completed)
    assert await at.value("SELECT to_hash IS NULL FROM erasure WHERE id = $1", job)
    found: dict[str, int] = json.loads(await at.value("SELECT removed::text FROM erasure WHERE id = $1", job))
    return found


async def test_nothing_that_identifies_stays_and_every_sum_does(at: Bench) -> None:
    async with at.aggregator():
        await plant(at)
        before = await sums(at)
        planted = {line.partition(":")[0].rstrip("_0123456789") for line in await MARKERS.in_tables(at.db)}
        assert planted >= {"message", "event", "link", "subject", "purchase", "custom_event", "waiting", "dead_letter"}
        assert planted >= {"consent", "recipient_choice", "last_open"}
        removed = await done(at, await erase(at))
        assert await sums(at) == before
    assert await MARKERS.in_tables(at.db) == []
    assert await MARKERS.in_redis(at.client) == []
    opens_and_clicks = 39 + 1 + 3
    assert removed == {
        "message": 251, "event": opens_and_clicks + 4, "engagement": 39 + 1 + 2, "link": 1, "subject": 1, "waiting": 2,
        "dead_letter": 1, "purchase": 1, "custom_event": 1, "last_open": 1, "recipient_choice": 1, "consent": 1,
    } | {name: n for name, n in removed.items() if name == "unregistered"}  # fmt: skip
    assert await at.value("SELECT count(*) FROM link WHERE url = $1", SHARED_LINK) == 1
    for table in ("consent", "recipient_choice", "last_open"):
        assert await at.value(f"SELECT to_hash FROM {table}") == OTHER
    assert await at.value("SELECT count(*) FROM custom_event WHERE contact = $1 AND properties <> '{}'", OTHER) == 1
    assert await at.value("SELECT count(*) FROM mail WHERE to_hash = $1 AND flags & 1024 = 0", OTHER) == 1
    assert await at.value("SELECT count(*) FROM erasure_message") == 0


async def test_what_comes_late_makes_nothing_anew_and_what_is_new_is(at: Bench) -> None:
    async with at.aggregator():
        await at.streams.append(0, of_ada(1), told(EventType.SENT, STRANGE_NAME))
        await at.counted()
        await done(at, await erase(at))
        asked = await at.value("SELECT (extract(epoch FROM requested_at) * 1e6)::bigint FROM erasure")
        before, after = asked - SECOND, asked + SECOND
        await at.streams.append(
            0,
            event(EventType.DELIVERED, None, before, provider="POSTMARK", provider_message=LATE_NAME),
        )
        await at.counted()
        assert await at.value("SELECT count(*) FROM waiting") == 1
        await at.streams.append(
            0,
            of_ada(2, at=before, provider="POSTMARK", provider_message=LATE_NAME),
            hit(1, before),
            hit(2, before),
            event(EventType.DELIVERED, 1, before, reason=SUBJECT),
            event(EventType.CLICKED, 1, before, url=OWN_LINK),
            *(told(EventType.DELIVERED, name, after) for name in (LATE_NAME, STRANGE_NAME)),
            told(EventType.DELIVERED, f"{NAME}-1", after, provider="SENDGRID"),
            *(told(EventType.OPENED, name, after) for name in (LATE_NAME, STRANGE_NAME)),
            told(EventType.SENT, "esp-never-heard-of", before),
            event(EventType.BOUNCED, None, before, bounce=BounceType.HARD, provider="POSTMARK", mail=mail()),
            bought(HASH, "late", before),
            Consent(before, before, 1, HASH, b"", 1, 1, "form", "1", "ada-order", "key:1"),
            Consent(after, after, 1, "", message(1), 1, 1, "page", "1", "ada-order", "recipient"),
            custom(HASH, before),
        )
        await at.counted()

        async def attributed() -> bool:
            return bool(await at.value("SELECT count(*) FROM purchase WHERE resolved_at IS NOT NULL") == 1)

        await until(attributed)
        markers = Markers(*MARKERS.texts, LATE_NAME, "esp-never-heard-of", "lovelace")
        assert await markers.in_tables(at.db) == []
        counted = await at.total()
        assert (counted["sent"], counted["delivered"]) == (1, 5)
        assert not {"human_opens", "human_clicks", "proxy_opens", "machine_opens"} & set(counted)
        assert await at.value("SELECT count(*) FROM message") == 3
        assert await at.value("SELECT count(*) FROM dead_letter") == 0
        # What is told by a name that nobody knows waits under the name's digest: its registration may be on its way.
        assert await at.value("SELECT count(*) FROM waiting WHERE provider_message = ''") == 1
        await at.streams.append(1, of_ada(6, at=before, provider="POSTMARK", provider_message="esp-never-heard-of"))

        async def nothing_waits() -> bool:
            return bool(await at.value("SELECT count(*) FROM waiting") == 0)

        await until(nothing_waits)
        assert (await at.total())["sent"] == 2
        assert await markers.in_tables(at.db) == []
        assert await at.value("SELECT sum(amount) FROM purchase") == 9
        # From then on the recipient is as anybody.
        await at.streams.append(0, of_ada(5, at=after, created=after), hit(5, after), custom(HASH, after))
        await at.counted()
        assert await at.value("SELECT count(*) FROM mail WHERE to_hash = $1 AND flags & 1024 = 0", HASH) == 1
        assert await at.value("SELECT count(*) FROM custom_event WHERE contact = $1", HASH) == 1
        assert (await at.total())["human_opens"] == 1


async def test_it_waits_for_who_has_begun_before(at: Bench) -> None:
    """A flush that has not seen the tombstone may be storing a message of the recipient's at that moment."""
    other = await asyncpg.connect(at.dsn)
    async with at.aggregator():
        await at.streams.append(0, of_ada(1))
        await at.counted()
        begun = other.transaction()
        await begun.start()
        await other.execute("INSERT INTO dedup (workspace, key, day) VALUES (0, 'x', date_trunc('day', now()))")
        job = await erase(at)

        async def fenced() -> bool:
            return bool(await at.value("SELECT step = 2 FROM erasure WHERE id = $1", job))

        await until(fenced)
        await other.execute(
            "INSERT INTO message (workspace, id, series, campaign, from_address, to_hash, to_domain, subject, provider,"
            " provider_account, provider_message, template, tags, created_at)"
            " SELECT workspace, $1, series, campaign, from_address, to_hash, to_domain, subject, provider,"
            " provider_account, provider_message || '-2', template, tags, created_at FROM mail",
            uuid.UUID(bytes=message(2)),
        )
        assert await at.value("SELECT count(*) FROM mail WHERE to_hash = ''") == 0
        await begun.commit()
        assert (await done(at, job))["message"] == 2
    await other.close()
    assert await MARKERS.in_tables(at.db) == []


async def test_what_a_flush_was_adding_in_that_moment_goes_too(at: Bench) -> None:
    """It began when the message still had its name, and ends when that is gone."""
    async with at.aggregator():
        await at.streams.append(0, of_ada(1))
        await at.counted()
    job, flush = await erase(at), await asyncpg.connect(at.dsn)
    async with erasures(at) as erasing:

        async def worked() -> int:
            """Work as far as it gets; the step that is next."""
            while await erasing._round():
                pass
            return int(await at.value("SELECT step FROM erasure WHERE id = $1", job))

        for _ in (Step.BURY, Step.FENCE):
            await erasing._round()
        begun = flush.transaction()
        await begun.start()
        await flush.execute(
            "INSERT INTO event (workspace, message, at, type, series, url)"
            " SELECT workspace, id, created_at, 11, series, $1 FROM message",
            OWN_LINK,
        )
        assert await worked() == Step.LATE
        assert await at.value("SELECT count(*) FROM mail WHERE to_hash = ''") == 1
        await begun.commit()
        assert await worked() == Step.REST
    assert await at.value("SELECT count(*) FROM event") == 0
    await flush.close()


async def test_what_an_aggregator_remembers_of_it_does_not_count_for_others(at: Bench) -> None:
    """Who follows a link that has lost its URL next, or waited to count; and of a nameless message's firsts nothing is
    known.
    """
    async with sides(at, 1) as (side,), erasures(at) as erasing:
        await side.flush([of_ada(1), registration(2, to_hash=OTHER), event(EventType.SENT, 1)])
        await side.flush([hit(1, url=SHARED_LINK), event(EventType.REPLIED, 1), hit(3, url=SHARED_LINK)])
        job = await erase(at)

        async def erased() -> bool:
            await erasing._round()
            return bool(await at.value("SELECT completed_at IS NOT NULL FROM erasure WHERE id = $1", job))

        await until(erased)
        with pytest.raises(OutOfStep):  # it believed that the link still had its URL
            await side.flush([registration(3, to_hash=OTHER)])
        await side.flush([registration(3, to_hash=OTHER)])
        found: list[Record] = [hit(2, url=SHARED_LINK), event(EventType.REPLIED, 1, AT + SECOND)]
        with pytest.raises(OutOfStep):  # it believed that the message still had its levels
            await side.flush(found)
        await side.flush(found)
    rows = await at.db.fetch("SELECT url, human_clicks FROM link JOIN link_activity_1d ON link = id ORDER BY id")
    assert [(row["url"].rstrip("0123456789"), row["human_clicks"]) for row in rows] == [
        ("(erased) ", 1),
        (SHARED_LINK, 2),
    ]
    assert await at.total() == {"sent": 1, "human_clicks": 3, "unique_clicks": 3, "replies": 2, "unique_replies": 1}
    assert await at.value("SELECT sum(replied) FROM cohort_sent_15m WHERE series > 0") == 1


@pytest.mark.parametrize(("module", "name"), [(dedup, "fresh"), (late, "withhold")], ids=["looked up", "held"])
async def test_a_click_in_the_moment_in_which_its_link_loses_its_url(
    at: Bench, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    """Whoever is first: it counts under the URL, which stays where somebody else has followed it by then."""
    async with sides(at, 1) as (side,), erasures(at) as erasing:
        await side.flush([of_ada(1), registration(2, to_hash=OTHER), hit(1, url=SHARED_LINK)])
        job = await erase(at)

        async def worked(step: Step) -> bool:
            await erasing._round()
            return bool(await at.value("SELECT step >= $2 FROM erasure WHERE id = $1", job, step))

        await until(lambda: worked(Step.LINKS))
        taking = list[asyncio.Task[bool]]()
        outside = await asyncpg.connect(at.dsn)

        async def is_done_or_waits() -> bool:
            return taking[0].done() or await outside.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") > 0

        async def meanwhile(*given: Any) -> Any:
            if not taking:
                taking.append(asyncio.create_task(worked(Step.FILES)))
                await until(is_done_or_waits)
            return await before(*given)

        before = getattr(module, name)
        monkeypatch.setattr(module, name, meanwhile)
        found: list[Record] = [hit(2, url=SHARED_LINK)]
        try:
            await side.flush(found)
        except OutOfStep:
            await side.flush(found)
        assert await taking[0]
        await outside.close()
    rows = await at.db.fetch("SELECT url FROM link JOIN link_activity_1d ON link = id ORDER BY id")
    assert rows[-1]["url"] == SHARED_LINK
    assert await at.value("SELECT url FROM history WHERE type = $1", EventType.CLICKED) == SHARED_LINK


async def test_one_that_fails_holds_up_no_other(at: Bench) -> None:
    stuck, other = await erase(at), await erase(at, OTHER)
    await at.db.execute("UPDATE erasure SET step = 99, requested_at = now() - interval '1 hour' WHERE id = $1", stuck)
    async with at.aggregator():
        await done(at, other)
    assert await at.value("SELECT step = 99 AND completed_at IS NULL FROM erasure WHERE id = $1", stuck)


async def test_those_that_only_wait_keep_nobody_waiting(at: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the many of one workspace, which wait a minute for their streams, are all that is looked at."""
    monkeypatch.setattr(job, "MOST", 1)
    waiting, other = await erase(at), await erase(at, OTHER)
    behind = "UPDATE erasure SET step = $1, requested_at = now() - interval '1 hour' WHERE id = $2"
    await at.db.execute(behind, Step.REST, waiting)
    await at.db.execute(
        "INSERT INTO export (workspace, id, type, format, parameters, status, expires_at)"
        " VALUES (1, 'x', 'events', 'csv', '', 'completed', now())"
    )  # whose file nobody has removed yet

    async def worked() -> bool:
        return bool(await at.value("SELECT step = $1 FROM erasure WHERE id = $2", Step.REST, other))

    async with at.aggregator():
        await until(worked)
        await at.db.execute("UPDATE export SET removed_at = now()")
        for one in (waiting, other):
            await done(at, one)


def test_what_identifies_is_what_registrations_tell() -> None:
    """A field that is added to registrations is to be thought of here, and by who erases."""
    neutral = {"at", "workspace", "message", "created", "campaign", "campaign_name", "from_address", "from_domain"}
    neutral |= {"provider", "provider_account", "template", "tags", "mailbox_provider", "tracks_opens", "tracks_clicks"}
    neutral |= {"links", "confined", "opens", "clicks"}
    erased = {"to_hash", "to_domain", "subject", "provider_message", "recipient_ref"}
    assert {field.name for field in msgspec.structs.fields(Registration)} == neutral | erased
