"""Clicks by link and bounces by reason: what the aggregator adds up is what the history holds."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from prometheus_client import Counter

from postmeter.aggregator.errors import OutOfStep
from postmeter.aggregator.store.links import Links
from postmeter.shared.storage.rollups import LINKS
from postmeter.shared.stream.events import BounceType, EventType
from postmeter.shared.stream.records import Event, Record
from tests.aggregation import AT, SECOND, Bench, bench, event, hit, registration
from tests.waiting import until

QUARTER, DAY = 900 * SECOND, 86_400 * SECOND
URLS = [
    "https://a.example/",
    "https://a.example/?q=%41&b=<i>'\"",
    "https://a.example/#x",
    "https://ü.example/日本",
    "http",
]
SAID = {
    "Mailbox full": ["552 5.2.2 Over quota", "mailbox_full", "4.2.2 the user's\r\ninbox is full"],
    "Invalid recipient": ["550 5.1.1 <a@b.example> unknown", "No Such User Here"],
    "Spam content": ["550 5.7.1 looks like spam", "Spam Content"],
}


@pytest.fixture
async def at(postgres_dsn: str, redis_url: str) -> AsyncIterator[Bench]:
    async with bench(postgres_dsn, redis_url) as made:
        yield made


async def links(at: Bench, table: str = "link_activity_15m") -> list[tuple[Any, ...]]:
    rows = await at.db.fetch(
        f"SELECT c.workspace, c.bucket, c.series, coalesce(l.url, '(other)') AS url, coalesce(c.human_clicks, 0),"
        f" coalesce(c.machine_clicks, 0) FROM {table} c"
        " LEFT JOIN link l ON l.workspace = c.workspace AND l.id = c.link ORDER BY 1, 2, 3, 4"
    )
    return [tuple(row) for row in rows]


async def in_history(at: Bench, width: int, known: list[str] | None = None) -> list[tuple[object, ...]]:
    """The same from the event history; URLs that are not among `known` count as one."""
    rows = await at.db.fetch(
        "SELECT workspace, date_bin($1 * interval '1 second', at, 'epoch'), series,"
        " CASE WHEN url = ANY ($2::text[]) THEN url ELSE '(other)' END,"
        " count(*) FILTER (WHERE verdict <> 3), count(*) FILTER (WHERE verdict = 3)"
        " FROM history WHERE type = 11 AND url IS NOT NULL GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
        width,
        URLS if known is None else known,
    )
    return [tuple(row) for row in rows]


async def test_each_click_of_a_url_is_counted_by_link_in_every_tier(at: Bench) -> None:
    noise = random.Random(11)
    messages = [registration(n, workspace=1 + n % 2, campaign=f"c{n % 3}") for n in range(6)]
    clicks: list[Record] = []
    for _ in range(300):
        n = noise.randrange(6)
        when = AT + noise.randrange(3 * DAY)
        url = noise.choice(URLS)
        if noise.random() < 0.5:
            clicks.append(hit(n, when, workspace=1 + n % 2, url=url, prefetch=noise.random() < 0.3))
        else:
            clicks.append(event(EventType.CLICKED, n, when, workspace=1 + n % 2, url=url))
    # Several in one flush, bucket and series.
    clicks += [hit(1, workspace=2, url=URLS[0]), hit(1, workspace=2, url=URLS[0], prefetch=True)] * 3
    others: list[Record] = [
        hit(1, workspace=2),
        event(EventType.CLICKED, 1, workspace=2),
        event(EventType.OPENED, 1, workspace=2, url="https://a.example/opened"),
    ]
    await at.streams.append(0, *messages)
    async with at.aggregator():
        await at.counted()
        await at.streams.append(0, *clicks[:100], *others)
        await at.streams.append(1, *clicks[100:200])
        again = await at.streams.append(2, *clicks[200:], batch_id="again")
        await at.streams.append(0, *clicks[200:], batch_id="again")
        await at.counted()
    assert again
    for tier in LINKS.tiers:
        counted = await links(at, tier.table)
        assert counted == await in_history(at, tier.seconds)
        assert sum(row[4] + row[5] for row in counted) == len(clicks)
    # Each URL once for each workspace, as it was stored; what was not a click of a URL made none.
    rows = await at.db.fetch("SELECT workspace, url, digest = decode(md5(url), 'hex') FROM link")
    assert sorted(map(tuple, rows)) == sorted((workspace, url, True) for workspace in (1, 2) for url in URLS)
    assert (await at.total())["human_clicks"] == sum(row[4] for row in await links(at)) + 1


async def test_links_beyond_the_limit_count_as_other_and_nothing_is_lost(at: Bench) -> None:
    await at.streams.append(0, registration(1), registration(2, workspace=2))
    expected = []
    # The second time nothing is remembered, and the limit is full.
    for _ in range(2):
        async with at.aggregator(link_limit=2):
            await at.counted()
            for n, url in enumerate(URLS):
                when = AT + n * SECOND
                await at.streams.append(0, hit(1, when, url=url), hit(1, when, url=url, prefetch=True))
                await at.counted()
        rows = await at.db.fetch("SELECT url FROM link WHERE workspace = 1 ORDER BY id")
        assert [row["url"] for row in rows] == URLS[:2]
        expected = await in_history(at, 900, URLS[:2])
        assert await links(at) == expected
    assert [row[3:] for row in expected] == [("(other)", 6, 6), (URLS[0], 2, 2), (URLS[1], 2, 2)]
    # The limit is each workspace's own.
    async with at.aggregator(link_limit=2):
        await at.streams.append(0, hit(2, workspace=2, url=URLS[4]))
        await at.counted()
    assert [row[3:] for row in await links(at) if row[0] == 2] == [(URLS[4], 1, 0)]


async def test_a_click_that_waited_for_its_message_is_counted_under_its_link(at: Bench) -> None:
    await at.streams.append(0, hit(1, url=URLS[0]), hit(2, url=URLS[1]))

    async def wait() -> bool:
        return bool(await at.value("SELECT count(*) FROM waiting") == 2)

    async with at.aggregator():
        await until(wait)
    # The next one remembers nothing, and one of the links has gone.
    await at.db.execute("DELETE FROM link WHERE url = $1", URLS[1])
    async with at.aggregator():
        await at.streams.append(0, registration(1), registration(2))
        await at.counted()
    assert await links(at) == await in_history(at, 900)
    assert await at.value("SELECT sum(human_clicks) FROM link_activity_1d") == 2


def bounce(n: int, when: int, text: str, kind: BounceType = BounceType.HARD, workspace: int = 1) -> Event:
    return event(EventType.BOUNCED, n, when, workspace=workspace, reason=text, bounce=int(kind))


async def test_reasons_add_up_to_the_bounces_of_each_day_and_series(at: Bench) -> None:
    noise = random.Random(7)
    expected: dict[tuple[int, int, str], int] = {}
    found = []
    texts = [(reason, text) for reason, said in SAID.items() for text in said]
    for _ in range(200):
        reason, text = noise.choice(texts)
        n, day = noise.randrange(4), noise.randrange(3)
        kind = noise.choice(list(BounceType))
        found.append(bounce(n, AT + day * DAY + noise.randrange(DAY - SECOND), text, kind, 1 + n % 2))
        key = (1 + n % 2, AT - AT % DAY + day * DAY, reason)
        expected[key] = expected.get(key, 0) + 1
    await at.streams.append(0, *(registration(n, workspace=1 + n % 2, campaign=f"c{n}") for n in range(4)))
    # What tells nothing.
    found += [bounce(0, AT, ""), bounce(0, AT, "", BounceType.SOFT)]
    expected |= {(1, AT - AT % DAY, "Other"): 1, (1, AT - AT % DAY, "Temporary failure"): 1}
    # Not bounces, whatever they say.
    others = [event(EventType.FAILED, 0, reason="mailbox full"), event(EventType.DEFERRED, 0, reason="mailbox full")]
    async with at.aggregator():
        await at.counted()
        await at.streams.append(0, *found[:90], *others)
        await at.streams.append(1, *found[90:], batch_id="again")
        await at.streams.append(2, *found[90:], batch_id="again")
        await at.counted()
    rows = await at.db.fetch(
        "SELECT workspace, (extract(epoch FROM bucket) * 1000000)::bigint, reason, sum(bounced)::int"
        " FROM bounce_reason_1d WHERE series > 0 GROUP BY 1, 2, 3"
    )
    assert {tuple(row)[:3]: row[3] for row in rows} == expected
    differing = await at.db.fetch(
        "SELECT * FROM (SELECT workspace, bucket, series, sum(bounced) AS n FROM bounce_reason_1d GROUP BY 1, 2, 3) r"
        " FULL JOIN (SELECT workspace, bucket, series, coalesce(hard_bounced, 0) + coalesce(soft_bounced, 0) AS n"
        " FROM activity_1d WHERE hard_bounced > 0 OR soft_bounced > 0) a"
        " USING (workspace, bucket, series) WHERE r.n IS DISTINCT FROM a.n"
    )
    assert differing == []
    assert await at.value("SELECT count(DISTINCT series) FROM bounce_reason_1d") == 5


async def test_a_bounce_that_waited_or_is_out_of_range_counts_where_the_activity_does(at: Bench) -> None:
    await at.streams.append(0, bounce(1, AT, "mailbox full"), bounce(1, 0, "virus"), registration(1))
    async with at.aggregator():
        await at.counted()
    rows = await at.db.fetch(
        "SELECT r.reason, r.bounced, a.hard_bounced FROM bounce_reason_1d r"
        " JOIN activity_1d a USING (workspace, bucket, series) ORDER BY r.bucket, r.series"
    )
    assert [tuple(row) for row in rows] == [("Mailbox full", 1, 1)] * 2 + [("Malware or attachment", 1, 1)] * 2


async def test_two_flushes_find_at_once_that_a_link_has_lost_its_url(at: Bench) -> None:
    found, click = Links(10, Counter("overflow", "Not looked at.", registry=None)), hit(1, url=URLS[0])
    other = await asyncpg.connect(at.dsn)
    await found.prepare(at.db, [click], [], ())
    await at.db.execute("UPDATE link SET digest = digest || '!'")
    both = (found.hold(connection, [click]) for connection in (at.db, other))
    said = await asyncio.gather(*both, return_exceptions=True)
    assert [type(one) for one in said] == [OutOfStep, OutOfStep]
    await other.close()
