"""Workspaces' reports in their corners, and against counting the same facts in plain Python."""

import random
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest

from tests.integration.report_moments import DAY, FIRST, NOW, TOMORROW, percent
from tests.integration.reports import Api, reports
from tests.integration.running_query import Fact


@pytest.fixture
async def api(postgres_dsn: str, redis_url: str) -> AsyncIterator[Api]:
    async with reports(postgres_dsn, redis_url, NOW, date(2025, 8, 1)) as made:
        yield made


def some_facts(seed: int, campaigns: Iterable[str]) -> list[Fact]:
    """Facts at any moment of the window, of 20 days before it and of a day after it."""
    chance = random.Random(seed)
    names = list(campaigns)
    kinds = ("unique_opens", "unique_clicks", "unique_replies", "complained", "unique_unsubscribed")
    facts = []
    for _ in range(150):
        sent = chance.randrange(1000)
        counters = {"sent": sent, "delivered": chance.randrange(sent + 1)}
        counters |= {"hard_bounced": chance.randrange(40), "soft_bounced": chance.randrange(40)}
        counters |= {kind: chance.randrange(sent // 3 + 1) for kind in kinds}
        moment = FIRST - 20 * DAY + timedelta(seconds=chance.randrange(52 * 86400))
        domain = chance.choice(["one.example", "two.example"])
        facts.append(Fact(moment, chance.choice(names), domain, counters=counters))
    return facts


def count(facts: Iterable[Fact], name: str) -> int:
    return sum(fact.counters.get(name, 0) for fact in facts)


def rates_of(facts: list[Fact], names: Iterable[str]) -> dict[str, float]:
    sent, delivered = count(facts, "sent"), count(facts, "delivered")
    opened, clicked = count(facts, "unique_opens"), count(facts, "unique_clicks")
    bounced = count(facts, "hard_bounced") + count(facts, "soft_bounced")
    every = {
        "delivery_rate": percent(delivered, sent),
        "open_rate": percent(opened, delivered),
        "click_rate": percent(clicked, delivered),
        "click_to_open_rate": percent(clicked, opened),
        "reply_rate": percent(count(facts, "unique_replies"), delivered),
        "bounce_rate": percent(bounced, sent),
        "spam_rate": percent(count(facts, "complained"), delivered),
        "unsubscribe_rate": percent(count(facts, "unique_unsubscribed"), delivered),
    }
    return {name: every[name] for name in names}


def monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


GROUPS: dict[str, Callable[[date], date]] = {
    "day": lambda day: day,
    "week": monday,
    "month": lambda day: day.replace(day=1),
}


@pytest.mark.parametrize("group", GROUPS)
async def test_a_campaign_equals_its_facts_counted(api: Api, group: str) -> None:
    facts = some_facts(1, ["a", "b"])
    await api.add(*facts)
    await api.campaign("a")
    inside = [fact for fact in facts if fact.campaign == "a" and FIRST <= fact.at < TOMORROW]
    data = await api.read_campaign("a", groupBy=group)
    assert data["campaign_name"] == "a"
    assert data["rates"] == rates_of(inside, data["rates"])
    assert data["summary"]["emails_bounced"] == count(inside, "hard_bounced") + count(inside, "soft_bounced")
    starts = sorted({GROUPS[group]((FIRST + n * DAY).date()) for n in range(31)})
    assert [point["date"] for point in data["time_series"]] == [start.isoformat() for start in starts]
    for point, start in zip(data["time_series"], starts, strict=True):
        part = [fact for fact in inside if GROUPS[group](fact.at.date()) == start]
        assert point["sent"] == count(part, "sent")
        assert point["opened"] == count(part, "unique_opens")
        assert point["bounced"] == count(part, "hard_bounced") + count(part, "soft_bounced")
    for total, name in (
        ("emails_delivered", "delivered"),
        ("emails_replied", "replied"),
        ("spam_complaints", "spam_complaints"),
    ):
        assert data["summary"][total] == sum(point[name] for point in data["time_series"])


async def test_a_custom_range_counts_what_it_prints(api: Api) -> None:
    await api.campaign("a")
    second = timedelta(seconds=1)
    start, end = datetime(2025, 11, 3, 10, 30, tzinfo=UTC), datetime(2025, 11, 5, 11, 44, 59, tzinfo=UTC)
    await api.add(*(Fact(at, "a", counters={"sent": 1}) for at in (start, start + DAY, end)))
    await api.add(*(Fact(at, "a", counters={"sent": 10}) for at in (start - second, end + second)))
    given = {"startDate": "2025-11-03T10:31:00Z", "endDate": "2025-11-05T12:40:00+01:00"}
    data = await api.read_campaign("a", **given)
    assert data["time_range"] == {
        "start": "2025-11-03T10:30:00Z",
        "end": "2025-11-05T11:44:59Z",
        "period": "custom",
    }
    assert [point["sent"] for point in data["time_series"]] == [1, 1, 1]
    overview = await api.read("overview", **given)
    assert overview["summary"]["emails_sent"] == 3
    assert overview["summary"]["active_campaigns"] == 1
    _, compared = await api.compare("a", "a2", start_date=given["startDate"], end_date=given["endDate"])
    assert compared["error"]["code"] == "CAMPAIGN_NOT_FOUND"
    await api.campaign("a2")
    _, compared = await api.compare(
        "a", "a2", start_date=given["startDate"], end_date=given["endDate"], metrics=["delivery_rate"]
    )
    assert compared["data"]["comparison"][0]["intervals"]["delivery_rate"]["trials"] == 3


async def test_an_empty_window_is_all_zeros(api: Api) -> None:
    await api.campaign("a")
    await api.add(Fact(NOW, "a", counters={"sent": 1}))
    instant = {"startDate": "2025-11-26T10:20:30Z", "endDate": "2025-11-26T10:20:30Z"}
    data = await api.read_campaign("a", **instant)
    assert set(data["summary"].values()) == set(data["rates"].values()) == {0}
    assert data["time_series"] == []
    overview = await api.read("overview", **instant)
    assert overview["top_campaigns"] == []
    assert overview["summary"]["active_campaigns"] == 0


async def test_the_overview_equals_its_facts_counted(api: Api) -> None:
    campaigns = [f"c{n}" for n in range(9)]
    facts = some_facts(2, [*campaigns, ""])
    await api.add(*facts)
    for campaign in campaigns:
        await api.campaign(campaign)
    inside = [fact for fact in facts if FIRST <= fact.at < TOMORROW]
    data = await api.read("overview")
    assert data["summary"]["emails_sent"] == count(inside, "sent")
    assert data["rates"] == rates_of(inside, data["rates"])
    sent = [c for c in campaigns if count((f for f in inside if f.campaign == c), "sent")]
    assert data["summary"]["active_campaigns"] == len(sent)

    def rank(campaign: str) -> tuple[Fraction, Fraction, str]:
        own = [fact for fact in inside if fact.campaign == campaign]
        delivered = count(own, "delivered")
        return (
            -Fraction(count(own, "unique_opens"), delivered),
            -Fraction(count(own, "unique_replies"), delivered),
            campaign,
        )

    best = sorted(sent, key=rank)[:5]
    assert [top["campaign_id"] for top in data["top_campaigns"]] == best
    assert data["top_campaigns"][0]["open_rate"] == percent(-rank(best[0])[0], 1)


async def test_the_best_campaigns_are_told_apart_by_more_than_is_printed(api: Api) -> None:
    def fact(campaign: str, delivered: int, opened: int, replied: int = 0) -> Fact:
        counters = {"sent": delivered or 1, "delivered": delivered, "unique_opens": opened, "unique_replies": replied}
        return Fact(NOW, campaign, counters=counters)

    await api.add(
        fact("e", 10**15, 5 * 10**14),
        fact("d", 10**15, 5 * 10**14 + 1),  # the best by a 10^15th
        fact("c", 2, 1),  # as good as e: more replies than b, as many as e
        fact("b", 4, 2),
        fact("a", 1000, 500, 1),
        fact("undelivered", 0, 7),  # no rate, so 0
        Fact(NOW, "unsent", counters={"delivered": 1, "unique_opens": 1}),
        fact("", 1, 1),
        fact("(other)", 1, 1),
    )
    data = await api.read("overview")
    assert [top["campaign_id"] for top in data["top_campaigns"]] == ["d", "a", "b", "c", "e"]
    assert data["summary"]["active_campaigns"] == 6
    await api.campaign("z")
    assert (await api.read("overview"))["summary"]["total_campaigns"] == 1  # what is known, sent or not


async def test_more_campaigns_than_the_engine_has_groups(api: Api) -> None:
    await api.here.pool.execute(
        "INSERT INTO campaign (workspace, id, name) SELECT $1, 'c' || n, '' FROM generate_series(1, 25000) AS n",
        api.workspace,
    )
    await api.here.pool.execute(
        "WITH made AS (INSERT INTO series (workspace, campaign, domain)"
        " SELECT $1, 'c' || n, 'd' FROM generate_series(1, 25000) AS n RETURNING id, campaign)"
        " INSERT INTO activity_1d (workspace, series, bucket, sent, delivered, unique_opens)"
        " SELECT $1, id, $2, 100000, 100000, substr(campaign, 2)::int FROM made",
        api.workspace,
        FIRST,
    )
    data = await api.read("overview")
    assert data["summary"]["total_campaigns"] == data["summary"]["active_campaigns"] == 25000
    assert [top["open_rate"] for top in data["top_campaigns"]] == [25.0] * 5
    assert [top["campaign_id"] for top in data["top_campaigns"]] == [f"c{n}" for n in range(25000, 24995, -1)]


async def test_deliverability_equals_its_facts_counted(api: Api) -> None:
    facts = some_facts(3, ["a", "b"])
    await api.add(*facts)
    inside = [fact for fact in facts if FIRST <= fact.at < TOMORROW]
    data = await api.read("deliverability")
    sent, complained = count(inside, "sent"), count(inside, "complained")
    hard, soft = count(inside, "hard_bounced"), count(inside, "soft_bounced")
    assert data["overall"] == {
        "estimated_inbox_placement_rate": percent(sent - hard - soft - complained, sent),
        "spam_rate": percent(complained, sent),
        "bounce_rate": percent(hard + soft, sent),
        "health_score": data["reputation_trend"][-1]["score"],
    }
    assert data["bounce_analysis"] == {
        "hard_bounces": hard,
        "soft_bounces": soft,
        "hard_bounce_rate": percent(hard, sent),
        "soft_bounce_rate": percent(soft, sent),
        "top_bounce_reasons": [],
    }
    assert [p["score"] for p in data["reputation_trend"]] == [health(facts, FIRST + n * DAY) for n in range(31)]
    lost = sum(Fraction(str(part["points"])) for part in data["health_parts"])
    assert abs(100 - lost - data["overall"]["health_score"]) <= Fraction("0.52")
    week = [fact for fact in facts if TOMORROW - 7 * DAY <= fact.at < TOMORROW]
    told = {part["part"]: (part["count"], part["of"]) for part in data["health_parts"]}
    assert told["complaints"] == (count(week, "complained"), count(week, "delivered"))
    assert list(told) == ["hard_bounces", "complaints", "unsubscribes", "volume"]


def health(facts: list[Fact], day: datetime) -> int:
    """semantics.md's sentence."""
    week = [fact for fact in facts if day - 6 * DAY <= fact.at < day + DAY]
    before = [fact for fact in facts if day - 13 * DAY <= fact.at < day - 6 * DAY]
    sent, delivered, earlier = count(week, "sent"), count(week, "delivered"), count(before, "sent")
    if not sent:
        return 100

    def penalty(value: Fraction, low: str, high: str) -> Fraction:
        return min(max((value - Fraction(low)) / (Fraction(high) - Fraction(low)) * 100, Fraction(0)), Fraction(100))

    lost = (
        penalty(Fraction(count(week, "hard_bounced"), sent), "0.02", "0.1") * Fraction("0.35")
        + penalty(Fraction(count(week, "complained"), delivered), "0.001", "0.005") * Fraction("0.35")
        + penalty(Fraction(count(week, "unique_unsubscribed"), delivered), "0.01", "0.05") * Fraction("0.15")
        + penalty(1 - Fraction(sent, earlier) if earlier else Fraction(0), "0.5", "1") * Fraction("0.15")
    )
    return int(100 - lost + Fraction(1, 2))


async def test_reasons_are_of_the_window_and_nothing_is_invented_for_the_others(api: Api) -> None:
    await api.add(Fact(NOW, counters={"sent": 1000, "hard_bounced": 30, "soft_bounced": 9}))
    await api.add_reasons(FIRST - DAY, {"Policy": 500})
    await api.add_reasons(TOMORROW, {"Policy": 500})
    await api.add_reasons(FIRST, {"Mailbox full": 7})
    await api.add_reasons(NOW, {"Mailbox full": 6, "Invalid recipient": 13, "Empty": 0})
    reasons = (await api.read("deliverability"))["bounce_analysis"]["top_bounce_reasons"]
    assert reasons == [
        {"reason": "Invalid recipient", "count": 13, "percentage": 33.3},
        {"reason": "Mailbox full", "count": 13, "percentage": 33.3},
    ]


async def test_more_bounces_than_mail_in_the_window_follow_the_formula(api: Api) -> None:
    await api.add(Fact(NOW, counters={"sent": 10, "hard_bounced": 20, "complained": 5}))
    overall = (await api.read("deliverability"))["overall"]
    assert overall["bounce_rate"] == 200
    assert overall["estimated_inbox_placement_rate"] == -150


async def test_the_status_of_blocklists(api: Api) -> None:
    nothing = {"any_ip_blacklisted": False, "ips_checked": 0, "last_check": None}
    assert (await api.read("deliverability"))["blacklist_status"] == nothing
    await api.sending_ip("192.0.2.1")
    assert (await api.read("deliverability"))["blacklist_status"] == nothing
    await api.sending_ip("192.0.2.2", NOW - DAY)
    await api.sending_ip("2001:db8::1", NOW, ("zone.example",))
    other = await api.here.workspace("other")
    await api.here.pool.execute(
        "INSERT INTO sending_ip (workspace, ip, checked_at) VALUES ($1, '192.0.2.9', now())", other
    )
    assert (await api.read("deliverability"))["blacklist_status"] == {
        "any_ip_blacklisted": True,
        "ips_checked": 2,
        "last_check": "2025-11-26T10:20:30Z",
    }
    ips = (await api.read("deliverability"))["sending_ips"]
    assert ips == [
        {"ip": "2001:db8::1", "last_check": "2025-11-26T10:20:30Z", "listed_in": ["zone.example"]},
        {"ip": "192.0.2.1", "last_check": None, "listed_in": []},
        {"ip": "192.0.2.2", "last_check": "2025-11-25T10:20:30Z", "listed_in": []},
    ]


async def test_without_mail_health_has_no_parts(api: Api) -> None:
    await api.add(Fact(NOW - 8 * DAY, counters={"sent": 1000, "hard_bounced": 500}))
    data = await api.read("deliverability")
    assert (data["overall"]["health_score"], data["health_parts"]) == (100, [])
