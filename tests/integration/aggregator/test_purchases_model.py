"""Attribution and its rollups against plain Python: any history, any order of arrival, purchases at any time."""

import random
from collections import Counter
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from prometheus_client import CollectorRegistry

from postmeter.aggregator.conversions.attribution import attribute
from postmeter.aggregator.fold.horizon import Horizon
from postmeter.aggregator.metrics import AggregatorMetrics
from postmeter.aggregator.store.dimensions import Dimensions
from postmeter.shared.storage.rollups import CONVERSIONS
from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.records import Event, Hit, Purchase, Record, Registration
from tests.aggregation import AT, SECOND, Bench, bench, event, hit, registration
from tests.integration.contact_records import purchase
from tests.integration.flushes import sides

DAY = 86_400 * SECOND
CAMPAIGNS = ("spring", "summer", "")
CURRENCIES = ("EUR", "USD")
LINK = "https://shop.example/"


@pytest.fixture
async def at(postgres_dsn: str, redis_url: str) -> AsyncIterator[Bench]:
    async with bench(postgres_dsn, redis_url) as made:
        yield made


def contact(n: int) -> str:
    return f"{n:064x}"


def history(noise: random.Random) -> tuple[list[Record], list[Purchase]]:
    """Times lie on a grid of half days, so that ties and the window's edges are met often."""
    people = 6
    messages: list[Record] = [
        registration(n, campaign=noise.choice(CAMPAIGNS), to_hash=contact(n % people), from_domain=f"d{n % 2}.example")
        for n in range(30)
    ]

    def moment() -> int:
        return AT + noise.randrange(40) * DAY // 2 + noise.choice((0, 0, 0, -1, 1))

    acts: list[Record] = []
    for _ in range(120):
        n, when = noise.randrange(30), moment()
        acts.append(
            noise.choice(
                (
                    hit(n, when, url=LINK),
                    hit(n, when, url=LINK),
                    hit(n, when, url=LINK, prefetch=True),
                    hit(n, when),
                    event(EventType.CLICKED, n, when, url=LINK, user_agent=b"Thunderbird"),
                    event(EventType.DELIVERED, n, when),
                )
            )
        )
    bought = [
        purchase(
            f"evt_{n}",
            contact(noise.randrange(people + 1)),
            moment(),
            str(Decimal(noise.randrange(10**6)).scaleb(-2)),
            currency=noise.choice(CURRENCIES),
        )
        for n in range(120)
    ]
    told = messages + acts
    noise.shuffle(told)
    return told, bought


class Model:
    """semantics.md: the campaign of the contact's last counted click within 7 days before the purchase's time."""

    def __init__(self, told: list[Record]) -> None:
        self.mail = {record.message: record for record in told if isinstance(record, Registration)}
        self.clicks: list[tuple[int, bytes]] = []
        for record in told:
            is_click = isinstance(record, Hit) and record.url and not record.prefetch
            if is_click or (isinstance(record, Event) and record.type == EventType.CLICKED):
                assert isinstance(record, Hit | Event)
                self.clicks.append((record.at, record.message))

    def attributed(self, bought: Purchase) -> Registration | None:
        mine = [
            (when, message)
            for when, message in self.clicks
            if self.mail[message].to_hash == bought.contact
            and self.mail[message].campaign
            and bought.at - 7 * DAY <= when <= bought.at
        ]
        return self.mail[max(mine)[1]] if mine else None


@pytest.mark.parametrize("seed", range(6))
async def test_any_history(at: Bench, seed: int) -> None:
    noise = random.Random(seed)
    told, bought = history(noise)
    model = Model(told)
    found = {one.id: model.attributed(one) for one in bought}
    assert 10 < sum(one is not None for one in found.values()) < 110, "a history that tests nothing"
    async with sides(at, 1) as (side,):
        arrived = [*told, *bought]
        for start in range(0, len(arrived), 60):
            await side.flush(arrived[start : start + 60])
        await side.flush([noise.choice(bought), *noise.sample(bought, 5)])  # told again
        await side.sweep()
        dimensions = Dimensions(1000, AggregatorMetrics(CollectorRegistry()))
        horizon = Horizon(at.settings.months())
        ids = [(1, one.id) for one in bought]
        noise.shuffle(ids)
        for start in range(0, len(ids), 50):
            # Some are asked for twice.
            await attribute(side.connection, dimensions, horizon, ids[start : start + 60], set())
    rows = await at.db.fetch("SELECT id, campaign FROM purchase")
    assert {row["id"]: row["campaign"] for row in rows} == {
        event_id: one.campaign if one else None for event_id, one in found.items()
    }
    await check_rollups(at, bought, found)


async def check_rollups(at: Bench, bought: list[Purchase], found: dict[str, Registration | None]) -> None:
    for tier in CONVERSIONS.tiers:
        expected: Counter[tuple[str, str, int, str]] = Counter()
        money: dict[tuple[str, str, int, str], Decimal] = {}
        for one in bought:
            of = found[one.id]
            start = one.at // SECOND // tier.seconds * tier.seconds
            places = [(of.campaign, of.from_domain) if of else ("", ""), ("total", "total")]
            for place in places:
                key = (*place, start, one.currency)
                expected[key] += 1
                money[key] = money.get(key, Decimal(0)) + one.amount
        rows = await at.db.fetch(
            "SELECT coalesce(s.campaign, 'total') AS campaign, coalesce(s.domain, 'total') AS domain,"
            " extract(epoch FROM c.bucket)::bigint AS start, c.currency, sum(c.conversions)::int AS n,"
            f" sum(c.revenue) AS revenue FROM {tier.table} c"
            " LEFT JOIN series s ON s.workspace = c.workspace AND s.id = c.series GROUP BY 1, 2, 3, 4"
        )
        keyed = {(r["campaign"], r["domain"], r["start"], r["currency"]): r for r in rows}
        assert {key: row["n"] for key, row in keyed.items()} == dict(expected)
        assert {key: row["revenue"] for key, row in keyed.items()} == money
