"""Each field of each record holds whatever it likes: no shard stops, and what is well beside it counts.

The records go straight into the stream, past everything that the API refuses.
"""

import random
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.records import (
    CampaignChange,
    Consent,
    CustomEvent,
    Mail,
    Purchase,
    Record,
    Refusal,
    WaitingEvent,
    WaitingHit,
)
from tests.aggregation import AT, bench, event, hit, message, registration

HALF = "half a pair of surrogates"
"""Stands for such a text, which Python does not encode."""
LONG = random.Random(1).randbytes(60_000).hex()
NUMBERS = [-1, 0, 2**15, 2**31 - 1, 2**31, 2**40, 2**63 - 1, 2**63, 2**64 - 1, -(2**31) - 1, -(2**63)]
NUMBERS += [253_402_300_800_000_000, -62_135_596_800_000_001]
"""Edges of columns, and of the years that a timestamp can have."""
TEXTS = [
    "",
    "\0",
    "a\0b",
    HALF,
    LONG,
    LONG[:3000],
    "\ufffe\U0010ffff",
    "\u202e",
    "'; DROP TABLE message; --",
    "[" * 5000,
]
BYTES = [b"", b"\0", b"\0" * 16, b"\xff" * 16, b"x" * 15, b"x" * 17, b"\xed\xa0\x80", LONG.encode()]
MONEY = ["NaN", "Infinity", "-1", "1e-400", "1e400", "9" * 200, "0." + "9" * 200, "", "x"]
OTHERS: list[Any] = [None, True, 1.5, float("nan"), [], {}, "x", b"x", -1, [[[[[]]]]]]
"""Of another type than the field's, or of another than one of its types."""

MAIL = Mail("s", "f" * 64, "b.example", "a@b.example", "b.example", "Hello", "spring", "welcome", ["a"])
NAMED: dict[str, Any] = {"provider": "X", "provider_message": "x"}
RECORDS: dict[str, Record] = {
    "open": hit(1),
    "click": hit(1, url="https://shop.example/"),
    "registration": registration(3),
    "event": event(EventType.DELIVERED, 1, key=b"k" * 16, digest=b"d" * 8),
    "bounce": event(EventType.BOUNCED, 1, bounce=1, reason="550 no"),
    "click told": event(EventType.CLICKED, 1, url="https://shop.example/", **NAMED),
    "named": event(EventType.SENT, mail=MAIL, **NAMED),
    "addressed": event(EventType.COMPLAINED, mail=MAIL, provider="X"),
    "received": event(EventType.RECEIVED, domain="in.example", size_bytes=7),
    "refusal": Refusal(AT, 1, "here", "because", b"body"),
    "campaign": CampaignChange(AT, 1, "spring", "Spring", "sent"),
    "purchase": Purchase(AT, AT, 1, "p", "o", "c", Decimal(1), "EUR", "[]", b"digest", None),
    "custom": CustomEvent(AT, AT, 1, "e", "n", "c", "{}", None),
    "consent": Consent(AT, AT, 1, "f" * 64, b"", 1, None, "form", "v1", "signup", "key:k"),
    "consent of a page": Consent(AT, AT, 1, "", message(1), None, 2, "preferences_page", "1", "", "recipient"),
    "waiting open": WaitingHit(**msgspec.structs.asdict(hit(1)), verdict=1),
    "waiting event": WaitingEvent(**msgspec.structs.asdict(event(EventType.OPENED, 1)), verdict=1),
}


def hostile(value: Any) -> list[Any]:
    """What may stand in a field in place of a value."""
    match value:
        case bool():
            fit: list[Any] = [not value]
        case int():
            fit = list(NUMBERS)
        case bytes():
            fit = list(BYTES)
        case str():
            fit = [*TEXTS, *(MONEY if value == "1" else [])]
        case list():
            fit = [[text] for text in TEXTS] + [["x"] * 5000]
        case _:
            fit = [AT, -AT, 2**62]
    return [*fit, *OTHERS]


def variants(record: Record) -> list[bytes]:
    """The record, once for each of its fields and each hostile value of it; the last without its last field."""
    parts: list[Any] = msgspec.to_builtins(record, builtin_types=(bytes,))
    found = [[*parts[:place], value, *parts[place + 1 :]] for place, one in enumerate(parts) for value in hostile(one)]
    for place, part in enumerate(parts):
        if isinstance(part, list) and len(part) == len(msgspec.structs.fields(Mail)):
            for inner, one in enumerate(part):
                for value in hostile(one):
                    found.append([*parts[:place], [*part[:inner], value, *part[inner + 1 :]], *parts[place + 1 :]])
    found.append(parts[:-1])
    half = msgspec.msgpack.encode(HALF)
    poison = half[:-3] + b"\xed\xa0\x80"
    return [msgspec.msgpack.encode(one).replace(half, poison) for one in found]


@pytest.mark.parametrize("kind", RECORDS)
async def test_no_value_of_any_field_stops_a_shard(postgres_dsn: str, redis_url: str, kind: str) -> None:
    """Each in an entry with an open of another workspace's message, and every such open counts, once."""
    well = msgspec.msgpack.encode(hit(9, workspace=7))
    async with bench(postgres_dsn, redis_url) as at:
        await at.streams.append(0, registration(1), registration(9, workspace=7))
        made = variants(RECORDS[kind])
        for one in made:
            await at.streams.append(0, packed=b"\x92" + well + one)
        async with at.aggregator(shards=1):
            await at.counted()
        opens = "SELECT sum(human_opens)::int FROM activity_15m WHERE workspace = 7 AND series <> 0"
        assert await at.value(opens) == len(made)
        assert await at.value("SELECT count(*) FROM event WHERE workspace = 7") == len(made)
