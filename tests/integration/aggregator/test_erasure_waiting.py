"""What waits in the moment in which its message is erased: it is somebody's who is known by now, and counts."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from postmeter.aggregator.errors import OutOfStep
from postmeter.aggregator.upkeep.erasure.step import Step
from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.records import Mail, Record
from tests.aggregation import AT, SECOND, Bench, bench, event, hit, registration
from tests.integration.erasing import erasures
from tests.integration.flushes import sides

SUBJECT = "Dear Ada Lovelace"
ADA = registration(1, to_hash="ada0" * 16, subject=SUBJECT, provider_message="esp-name-of-ada")


@pytest.fixture
async def at(postgres_dsn: str, redis_url: str) -> AsyncIterator[Bench]:
    async with bench(postgres_dsn, redis_url) as made:
        yield made


async def erase(at: Bench) -> None:
    query = "INSERT INTO erasure (workspace, id, to_hash, requested_by) VALUES (1, $1, $2, 'key:1')"
    await at.db.execute(query, uuid.uuid4(), ADA.to_hash)


async def test_what_waits_for_a_message_that_is_erased_counts(at: Bench) -> None:
    """It was parked while the registration was not committed yet; the sweep had not come by."""
    names = {"provider": ADA.provider, "provider_message": ADA.provider_message}
    async with sides(at, 2) as (one, other), erasures(at) as erasing:
        async with one.connection.transaction():
            await one.flush([ADA])
            await other.flush(
                [
                    event(EventType.REPLIED, 1, reason=SUBJECT),
                    event(EventType.DELIVERED, None, AT + SECOND, reason=SUBJECT, **names),
                    event(EventType.OPENED, None, AT + SECOND, **names),
                    hit(1, url="https://a.example/for-ada"),
                ]
            )
        assert await at.value("SELECT count(*) FROM waiting") == 4
        await erase(at)

        async def worked() -> int:
            """Work as far as it gets; the step that is next."""
            while await erasing._round():
                pass
            return int(await at.value("SELECT step FROM erasure"))

        assert await worked() == Step.LATE
        await other.sweep()
        assert await worked() == Step.REST
    assert await at.total() == {"replies": 1, "delivered": 1}
    assert await at.value("SELECT count(*) FROM waiting") == 0
    assert await at.value("SELECT count(*) FROM history WHERE reason <> '' OR url <> ''") == 0
    assert await at.value("SELECT url FROM link") == "(erased) " + str(await at.value("SELECT id FROM link"))


async def test_a_url_that_only_waited_with_its_click_goes(at: Bench) -> None:
    """The click names its recipient, and a message that never came; another URL has been followed by somebody else."""
    mail = Mail("src", ADA.to_hash, "", "", "", "", campaign="", template="", tags=[])
    urls = "https://a.example/for-ada", "https://a.example/for-all"
    async with sides(at, 1) as (side,), erasures(at) as erasing:
        await side.flush([event(EventType.CLICKED, 9, url=url, mail=mail) for url in urls])
        await side.flush([registration(2), hit(2, url=urls[1])])
        assert await at.value("SELECT count(*) FROM link") == 2
        await erase(at)
        while await erasing._round():
            pass
    assert await at.value("SELECT count(*) FROM waiting") == 0
    assert [row["url"] for row in await at.db.fetch("SELECT url FROM link WHERE url LIKE 'https%'")] == [urls[1]]


@pytest.mark.parametrize("to_hash", [ADA.to_hash, ""])
async def test_a_message_that_a_webhook_told_of_first_is_one_before_it_is_erased(at: Bench, to_hash: str) -> None:
    """Whether the webhook names the recipient or not: nameless, neither finds the other again."""
    mail = Mail("src", to_hash, "", "", "", "", campaign="", template="", tags=[])
    names: dict[str, Any] = {"provider": ADA.provider, "provider_message": ADA.provider_message, "mail": mail}
    async with sides(at, 1) as (side,), erasures(at) as erasing:
        await side.flush([event(kind, None, **names) for kind in (EventType.SENT, EventType.REPLIED)])
        await side.flush([ADA])
        await erase(at)
        while await erasing._round():
            pass
        assert await at.value("SELECT step FROM erasure") == Step.MESSAGES
        await side.adopt()
        while await erasing._round():
            pass
    assert await at.value("SELECT count(*) FROM message") == 1
    assert await at.value("SELECT count(*) FROM mail WHERE provider_message <> '' OR flags & 1024 = 0") == 0
    assert await at.value("SELECT count(*) FROM event") == 0
    assert await at.total() == {"sent": 1, "replies": 1, "unique_replies": 1}


async def test_a_message_that_is_registered_again_after_its_erasure_stays_one(at: Bench) -> None:
    """As by a sender who tells all of them once more: what its provider tells by name is of it still."""
    mail = Mail("src", ADA.to_hash, "", "", "", "", campaign="", template="", tags=[])
    async with sides(at, 1) as (side,), erasures(at) as erasing:
        await side.flush([ADA])
        await erase(at)
        while await erasing._round():
            pass
        after = await at.value("SELECT (extract(epoch FROM clock_timestamp()) * 1e6)::bigint")
        names: dict[str, Any] = {"provider": ADA.provider, "provider_message": ADA.provider_message, "mail": mail}
        await side.flush([msgspec.structs.replace(ADA, at=after)])
        told: list[Record] = [event(EventType.DELIVERED, None, after, **names)]
        with pytest.raises(OutOfStep):  # for the job has erased what it remembers
            await side.flush(told)
        await side.flush(told)
    assert await at.value("SELECT count(*) FROM message") == 1
    assert await at.value("SELECT count(*) FROM mail WHERE to_hash <> ''") == 0
    assert (await at.total())["delivered"] == 1
