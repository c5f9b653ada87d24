"""Messages leave out what their series says (ADR 0070), and are read as if they did not."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.records import Mail, Registration
from tests.aggregation import AT, SECOND, Bench, bench, event, registration
from tests.integration.flushes import sides

TEXTS = ("campaign", "from_address", "to_hash", "provider", "provider_account", "template", "tags")


async def texts(at: Bench, relation: str) -> list[tuple[Any, ...]]:
    rows = await at.db.fetch(f"SELECT {', '.join(TEXTS)} FROM {relation} ORDER BY id")
    return [tuple(row) for row in rows]


def told(found: Sequence[Registration]) -> list[tuple[Any, ...]]:
    return [tuple(getattr(one, name) for name in TEXTS) for one in found]


async def test_a_message_holds_what_its_series_does_not_say(postgres_dsn: str, redis_url: str) -> None:
    found = [
        registration(0, tags=["a", "b"]),
        registration(1, tags=["b", "a"]),
        registration(2, tags=["a", "b"], from_address="sales@shop.example", provider_account="second"),
        registration(3, tags=["a", "b"], to_hash="AB" * 32),
        registration(4, tags=[], campaign="", provider="", provider_message="", template="", to_hash="not known"),
    ]
    async with bench(postgres_dsn, redis_url) as at, sides(at, 2) as (one, other):
        await one.flush([*found[:2]])
        await other.flush([*found[2:], found[0]])  # one by one, since the last one is repeated
        assert await texts(at, "mail") == told(found)
        assert await texts(at, "message") == [
            (None, None, None, None, None, None, None),
            (None, None, None, None, None, None, ["b", "a"]),
            (None, "sales@shop.example", None, None, "second", None, None),
            (None, None, "AB" * 32, None, None, None, None),
            (None, None, "not known", None, None, None, None),
        ]


async def test_a_message_of_what_is_beyond_the_limit_holds_all_of_its_texts(postgres_dsn: str, redis_url: str) -> None:
    found = [registration(n, template=f"t-{n}", campaign=f"c-{n}", to_hash=f"no hash {n}") for n in range(3)]
    async with bench(postgres_dsn, redis_url) as at:
        at.settings = replace(at.settings, series_limit=1)
        async with sides(at, 1) as (side,):
            await side.flush([found[0]])
            for one in found[1:]:
                await side.flush([one])
        assert await at.value("SELECT array_agg(usual_from ORDER BY id) FROM series") == ["news@shop.example", None]
        assert await texts(at, "mail") == told(found)
        assert (await texts(at, "message"))[1:] == told(found)[1:]


async def test_a_message_that_nobody_has_registered_holds_all_of_its_texts(postgres_dsn: str, redis_url: str) -> None:
    mail = Mail("src", f"{1:064x}", "r.example", "a@s.example", "s.example", "Hello", "spring", "welcome", ["a"])
    async with bench(postgres_dsn, redis_url) as at, sides(at, 1) as (side,):
        for _ in range(2):
            await side.flush([event(EventType.SENT, None, AT, provider="SES", provider_message="s-1", mail=mail)])
        assert await texts(at, "mail") == await texts(at, "message")
        assert await texts(at, "mail") == [("spring", "a@s.example", f"{1:064x}", "SES", "", "welcome", ["a"])]
        # Its registration finds it by its provider's name, and takes over what was counted of it.
        await side.flush([registration(1, provider="SES", provider_message="s-1", created=AT - SECOND)])
        await side.adopt()
        assert await at.value("SELECT count(*) FROM message") == 1
        assert await at.value("SELECT state FROM message WHERE provider IS NULL") == 3
