"""What a stream holds stops no shard: what cannot be counted is a dead letter, else it counts (hostile-input.md 59)."""

import random
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiohttp
import asyncpg
import pytest
from msgspec import structs
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from postmeter.aggregator import held
from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.records import CampaignChange, CustomEvent, Mail, Purchase, Record, Refusal
from tests.aggregation import AT, Bench, bench, event, hit, message, registration
from tests.product import free_port
from tests.waiting import until

LONG = random.Random(1).randbytes(6000).hex()
"""Longer than an entry of an index may be, and no compression makes it short."""
UNKNOWN = 99
"""A message that nobody has registered."""


@pytest.fixture
async def at(postgres_dsn: str, redis_url: str) -> AsyncIterator[Bench]:
    async with bench(postgres_dsn, redis_url) as made:
        yield made


def mail(**changes: Any) -> Mail:
    return structs.replace(Mail("", "", "", "", "", "", "", "", []), **changes)


def custom(**changes: Any) -> CustomEvent:
    return structs.replace(CustomEvent(AT, AT, 1, "e", "n", "c", "{}", None), **changes)


def purchase(**changes: Any) -> Purchase:
    return structs.replace(Purchase(AT, AT, 1, "p", "", "c", Decimal(1), "EUR", "[]", b"", None), **changes)


INDEX = asyncpg.ProgramLimitExceededError
STEPS: dict[str, tuple[Record, type[Exception]]] = {
    "campaign said": (CampaignChange(AT, 1, LONG, "x", None), INDEX),
    "domain made": (event(EventType.RECEIVED, domain=LONG), INDEX),
    "campaign made": (registration(3, campaign=LONG), INDEX),
    "series made": (registration(4, tags=[LONG]), INDEX),
    "draft of an unregistered message": (
        event(EventType.SENT, provider="X", provider_message="x", mail=mail(template=LONG)),
        INDEX,
    ),
    "key claimed": (event(EventType.SENT, 1, key=LONG.encode()), INDEX),
    "message registered": (registration(5, provider_message=LONG), INDEX),
    "message made": (
        event(EventType.SENT, provider="X", provider_message=LONG, mail=mail()),
        INDEX,
    ),
    "event parked": (event(EventType.SENT, provider="SENDGRID", provider_message=LONG), INDEX),
    "history written": (event(EventType.DEFERRED, 1, bounce=10**6), OverflowError),
    "purchase stored": (purchase(id=LONG), INDEX),
    "items stored": (purchase(items="[{"), asyncpg.InvalidTextRepresentationError),
    "properties stored": (custom(properties='{"a": "\\u0000"}'), asyncpg.UntranslatableCharacterError),
}
"""By the step of a flush that fails: the record, and what it fails with."""


async def letters(at: Bench) -> list[tuple[int | None, str]]:
    rows = await at.db.fetch("SELECT workspace, reason FROM dead_letter ORDER BY id")
    return [(row["workspace"], row["reason"]) for row in rows]


@pytest.mark.parametrize("shape", ["among others", "alone", "all at once"])
async def test_a_record_that_fails_at_any_step_is_a_dead_letter_and_all_else_counts(at: Bench, shape: str) -> None:
    hits = 0
    # Every text of a message may be as long as it likes; not so with this index.
    await at.db.execute("CREATE INDEX ON message (provider_message)")
    if shape == "all at once":
        bad = [record for record, _ in STEPS.values()]
        await at.streams.append(0, registration(1), hit(1), *bad, hit(1), hit(1))
        hits = 3
    for record, _ in STEPS.values() if shape != "all at once" else ():
        if shape == "alone":
            await at.streams.append(0, registration(1), hit(1))
            await at.streams.append(0, record)
            hits += 1
        else:
            await at.streams.append(0, registration(1), hit(1), record, hit(1))
            hits += 2
    await at.streams.append(0, hit(1))
    async with at.aggregator():
        await at.counted()
    total = await at.total()
    assert total == {"human_opens": hits + 1, "unique_opens": 1}
    assert await at.value("SELECT count(*) FROM message") == 1
    found = await letters(at)
    assert len(found) == len(STEPS)
    for (workspace, reason), (step, (_, error)) in zip(found, STEPS.items(), strict=True):
        assert workspace == 1, step
        assert reason.startswith(f"refused: {error.__name__}: "), (step, reason)
        assert len(reason) < 300, step


async def test_two_records_that_are_refused_only_together_cost_one_of_them(at: Bench) -> None:
    await at.db.execute("CREATE UNIQUE INDEX ON custom_event (workspace, id, at)")
    await at.streams.append(0, registration(1), custom(), hit(1), custom(name="again"), hit(1), custom(id="f"))
    async with at.aggregator():
        await at.counted()
    assert (await at.total())["human_opens"] == 2
    assert [row["name"] for row in await at.db.fetch("SELECT name FROM custom_event ORDER BY id")] == ["n", "n"]
    ((workspace, reason),) = await letters(at)
    assert workspace == 1
    assert reason.startswith("refused: UniqueViolationError")


async def test_what_waits_and_cannot_be_counted_does_not_cost_its_message(at: Bench) -> None:
    """Of the events that waited for a message one cannot be written, and one cannot even be read."""
    poison = event(EventType.DEFERRED, UNKNOWN, bounce=10**6)
    async with at.aggregator():
        await at.streams.append(0, hit(UNKNOWN), poison, hit(UNKNOWN))
        await at.counted()
        await at.db.execute("INSERT INTO waiting (workspace, message, record) VALUES (1, $1, '\\xc1')", _uuid(UNKNOWN))
        await at.streams.append(1, registration(UNKNOWN), registration(1), hit(UNKNOWN), hit(1))
        await at.counted()

        async def swept() -> bool:
            return bool(await at.value("SELECT count(*) FROM waiting") == 0)

        await until(swept)
    assert await at.total() == {"human_opens": 4, "unique_opens": 2}
    kinds = sorted(reason.split(":")[0] for _, reason in await letters(at))
    assert kinds == ["refused", "unreadable"]


def _uuid(n: int) -> Any:
    return asyncpg.pgproto.pgproto.UUID(message(n))


BROKEN = {
    "text that is not UTF-8": b"\xdd\x00\x00\x00\x01\x98\x04\x01\x01\xa1\xff\xc0\xc0",
    "nested without end": b"\xdd\x00\x00\x00\x01" + b"\x91" * 100_000,
    "no MessagePack": b"\xc1",
    "nothing": b"",
}


async def test_dead_letters_take_whatever_they_are_given(at: Bench) -> None:
    """Texts with NULs, of any length, of nobody; bytes that are not records; ids that are not keys."""
    ugly = [
        Refusal(AT, workspace, f"origin\0{LONG}", f"x\0: There is no such field. {LONG}", LONG.encode() * 100)
        for workspace in (1, 0, -1, 2**31, 2**62)
    ]
    async with at.aggregator():
        await at.streams.append(0, registration(1), *ugly, hit(1))
        await at.streams.append(0, hit(1), *ugly, batch_id=f"\0\x80{LONG}")
        for packed in BROKEN.values():
            await at.streams.append(0, packed=packed)
        await at.streams.append(0, hit(1))
        await at.counted()
    assert (await at.total())["human_opens"] == 3
    found = await letters(at)
    assert len(found) == 2 * len(ugly) + len(BROKEN)
    assert {workspace for workspace, _ in found} == {1, None}
    assert all(len(reason) <= 1000 for _, reason in found)
    assert await at.value("SELECT max(length(record)) FROM dead_letter") == 65_536


async def metric(port: int, name: str) -> float:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as answer:
        for family in text_string_to_metric_families(await answer.text()):
            values = [sample.value for sample in family.samples if sample.name == name]
            if values:
                return max(values)
    return 0.0


async def ready(port: int, which: str = "failed") -> tuple[int, dict[str, str]]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/readyz") as answer:
        return answer.status, (await answer.json())[which]


async def test_trouble_that_is_not_the_data_s_puts_nothing_aside_and_is_said(
    at: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table that is missing: the shards stand still and say so; when it is there again everything counts."""
    monkeypatch.setattr(held, "SLOW_SECONDS", 1.0)
    port = free_port()
    with capture_logs() as lines:
        async with at.aggregator(ops_port=port):
            await at.streams.append(0, registration(1), hit(1))
            await at.counted()

            async def is_ready() -> bool:
                return await ready(port) == (200, {})

            await until(is_ready)
            await at.db.execute("ALTER TABLE event RENAME TO event_away")
            await at.streams.append(1, hit(1), STEPS["purchase stored"][0], hit(1))

            async def is_warned_of() -> bool:
                status, warnings = await ready(port, "warnings")
                said = warnings.get("shards", "")
                return status == 200 and said.startswith("shard 1 has counted nothing ") and "UndefinedTable" in said

            await until(is_warned_of)
            monkeypatch.setattr(held, "STALLED_SECONDS", 1.0)

            async def stands_still() -> bool:
                status, failed = await ready(port)
                # Until the first attempt has failed it is said that the shard hangs.
                said = failed.get("shards", "")
                return (
                    status == 503
                    and said.startswith("ShardStalled: shard 1 has counted nothing for ")
                    and "UndefinedTableError" in said
                    and await metric(port, "postmeter_shard_stalled_seconds") >= 1.0
                )

            await until(stands_still)
            assert await letters(at) == []

            async def said() -> bool:
                return any(line["event"].startswith("shard stands still") for line in lines)

            await until(said)
            await at.db.execute("ALTER TABLE event_away RENAME TO event")
            await at.counted()
            await until(is_ready)
    assert (await at.total())["human_opens"] == 3
    assert len(await letters(at)) == 1
    (line, *_) = [line for line in lines if line["event"].startswith("shard stands still")]
    assert (line["log_level"], line["shard"], line["passes"]) == ("error", 1, True)
    assert line["failure"].startswith("UndefinedTableError: ")
