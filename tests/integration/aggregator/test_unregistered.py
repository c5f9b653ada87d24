"""Mail that webhooks tell of, registered before, meanwhile, afterwards or never: it ends as if it had come first."""

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from itertools import count
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postmeter.aggregator.errors import SERIALIZATION
from postmeter.shared.stream.events import BounceType, EventType, Verdict
from postmeter.shared.stream.records import Event, Hit, Mail, Record, Registration
from tests.aggregation import AT, SECOND, Bench, bench, event, hit, message, registration
from tests.integration.aggregator_model import Model, check_tables, micro
from tests.integration.aggregator_sums import check_sums
from tests.integration.flushes import HOUR, Side, sides
from tests.waiting import until

SHARDS = 3
MESSAGES = range(4)
WORKSPACES = 2000
EXAMPLES = count(1)
SOURCE = "src_00000000000000000000"
LINK = "https://a.example/x"
TENTH = SECOND // 10
LINKS = [LINK, f"{LINK}?x", f"{LINK}?y", f"{LINK}?z"]
OPENS_AND_CLICKS = (EventType.OPENED, EventType.CLICKED)


def provider(n: int) -> str:
    """Whose mail a message is; in every second workspace SENDGRID's opens and clicks count."""
    return "SENDGRID" if n % 2 else "POSTMARK"


def registered(n: int, workspace: int, **changes: Any) -> Registration:
    given: dict[str, Any] = {"workspace": workspace, "provider": provider(n), "provider_message": f"pm-{n}"}
    return registration(n, created=AT + n * HOUR, **given | changes)


def mail(n: int) -> Mail:
    """What the provider knows of a message: another series than the registration's, but the same campaign or none."""
    return Mail(
        source=SOURCE,
        to_hash=f"{n:064x}",
        to_domain="reader.example",
        from_address="news@shop.example",
        from_domain="shop.example" if n else "",
        subject="Hello",
        campaign="spring" if n % 3 else "",
        template="",
        tags=[],
    )


def told(kind: EventType, n: int, at: int, workspace: int = 1, **changes: Any) -> Event:
    """A webhook's event that names the message as the provider does."""
    given: dict[str, Any] = {"workspace": workspace, "provider": provider(n), "provider_message": f"pm-{n}"}
    return event(kind, None, at, mail=mail(n), **given | changes)


@pytest.fixture
async def at(postgres_dsn: str, redis_url: str) -> AsyncIterator[Bench]:
    async with bench(postgres_dsn, redis_url) as made:
        await made.db.execute(
            "INSERT INTO workspace (number, id, name, timezone) OVERRIDING SYSTEM VALUE"
            " SELECT n, 'ws-' || n, '', 'UTC' FROM generate_series(1, $1::int) AS n"
            " WHERE NOT EXISTS (SELECT FROM workspace WHERE number = n)",
            WORKSPACES,
        )
        await made.db.execute(
            "INSERT INTO webhook_source (id, workspace, provider, name, secret, engagement)"
            " SELECT 'src-' || n, n, 'sendgrid', '', '', CASE n % 2 WHEN 0 THEN 'provider' ELSE 'own' END"
            " FROM generate_series(1, $1::int) AS n",
            WORKSPACES,
        )
        yield made


@pytest.fixture
async def three(at: Bench) -> AsyncIterator[list[Side]]:
    async with sides(at, SHARDS) as made:
        yield made


def counts(one: Record, registrations: dict[bytes, Registration], named: dict[str, bytes], workspace: int) -> bool:
    """The rule, message by message: the mail's own tracking counts if it has any, unless the provider was chosen."""
    if not isinstance(one, Hit | Event):
        return True
    of = one.message or (named.get(one.provider_message, b"") if isinstance(one, Event) else b"")
    known = registrations.get(of)
    if known is None:
        return True
    chosen = workspace % 2 == 0 and known.provider == "SENDGRID"
    if isinstance(one, Hit):
        return not chosen
    if one.mail is None or one.type not in OPENS_AND_CLICKS:
        return True
    tracked = known.tracks_opens if one.type == EventType.OPENED else known.tracks_clicks
    return chosen or not tracked


def _row(one: Record, named: dict[str, bytes]) -> tuple[bytes, int, int]:
    """Message, time and type of an open or click, as in the history."""
    assert isinstance(one, Hit | Event)
    if isinstance(one, Event):
        return one.message or named[one.provider_message], one.at, one.type
    return one.message, one.at, EventType.CLICKED if one.url else EventType.OPENED


async def check(at: Bench, workspace: int, found: list[Record]) -> None:
    """The tables say what a plain count says, as if every registration had come first."""
    registrations = {r.message: r for r in found if isinstance(r, Registration)}
    named = {r.provider_message: r.message for r in registrations.values()}
    expected = list(found)
    events = [r for r in found if isinstance(r, Event) and r.provider_message and not r.message]
    for n in MESSAGES:
        name = f"pm-{n}"
        of = [one for one in events if one.provider_message == name]
        if name in named or not any(one.mail for one in of):
            continue
        rows = await at.db.fetch(
            "SELECT id FROM message WHERE workspace = $1 AND provider_message = $2", workspace, name
        )
        assert len(rows) == 1, name
        known = mail(n)
        changes = {"message": rows[0][0].bytes, "template": "", "tags": [], "campaign": known.campaign}
        changes |= {"tracks_opens": False, "tracks_clicks": False}  # nobody knows of a pixel, so it is not trackable
        expected.append(
            registration(
                n, **changes, provider_message=name, from_domain=known.from_domain, created=min(one.at for one in of)
            )
        )
    counted = [(r, "") for r in expected if counts(r, registrations, named, workspace)]
    model = Model(counted)
    await check_tables(at.db, workspace, model)
    await check_sums(at.db, workspace)
    kept = Counter(_row(r, named) for r in expected if not counts(r, registrations, named, workspace))
    rows = await at.db.fetch(
        f"SELECT message, {micro('at')}, type, verdict_reason, verdict FROM history"
        " WHERE workspace = $1 AND NOT counted",
        workspace,
    )
    assert Counter((row[0].bytes, row[1], row[2]) for row in rows) == kept
    assert {row[3] for row in rows} <= {"own_tracking_counts", "provider_tracking_counts"}
    assert {row[4] for row in rows} <= {Verdict.HUMAN}
    totals = await at.db.fetchrow(
        "SELECT sum(opens) AS opens, sum(unique_opens) AS uniques, sum(clicks) AS clicks FROM live_total"
        " WHERE workspace = $1",
        workspace,
    )
    assert totals is not None
    sums: Counter[str] = Counter()
    for (_, _, _, name), n in model.activity.items():
        sums[name] += n
    assert [totals["opens"] or 0, totals["uniques"] or 0, totals["clicks"] or 0] == [
        sums["human_opens"] + sums["proxy_opens"],
        sums["unique_opens"],
        sums["human_clicks"],
    ]


@st.composite
def histories(draw: st.DrawFn) -> list[Record]:
    """Records of workspace 0, each at the place in time at which it arrives."""
    moments = st.integers(-20 * HOUR, 20 * HOUR).map(lambda offset: AT + offset)
    # Some so near to each other that clicks are judged together.
    moments |= st.integers(0, 12).map(lambda quarters: AT + quarters * SECOND // 4)
    found: list[Record] = []
    for n in draw(st.sets(st.sampled_from(MESSAGES), min_size=1)):
        tracked: dict[str, Any] = {"tracks_opens": draw(st.booleans()), "tracks_clicks": draw(st.booleans())}
        tracked["links"] = draw(st.sampled_from([0, 4]))
        some: list[Record] = [*[registered(n, 0, **tracked)] * draw(st.sampled_from([0, 1, 1, 1, 2]))]
        kinds = [EventType.SENT, EventType.DELIVERED, EventType.OPENED, EventType.CLICKED, EventType.BOUNCED] * 3
        kinds += [kind for kind in EventType if kind is not EventType.RECEIVED]
        for _ in range(draw(st.integers(0, 8))):
            kind, when = draw(st.sampled_from(kinds)), draw(moments)
            details = {
                "bounce": int(draw(st.sampled_from(BounceType))) if kind is EventType.BOUNCED else 0,
                "url": draw(st.sampled_from(["", *LINKS])) if kind is EventType.CLICKED else "",
                "reason": draw(st.sampled_from(["", "mailbox full"])),
            }
            one = told(kind, n, when, 0, **details)
            api: dict[str, Any] = {"mail": None}
            by_id = {**api, "provider": "", "provider_message": "", "message": message(n)}
            change: dict[str, Any] = draw(st.sampled_from([{}, {}, {}, api, by_id, {"message": message(n)}]))
            some.append(msgspec.structs.replace(one, **change))
        for _ in range(draw(st.integers(0, 3))):
            some.append(hit(n, draw(moments), workspace=0, url=draw(st.sampled_from(["", *LINKS]))))
        found += some
    return draw(st.permutations(found))


def shard_of(one: Record, noise: random.Random) -> int:
    """As the tracking-service routes: what a webhook tells of one message comes through one shard."""
    if isinstance(one, Event) and one.mail is not None:
        name = one.message or f"{one.provider}\0{one.provider_message}".encode()
        return hashlib.blake2b(name, digest_size=8).digest()[0] % SHARDS
    return noise.randrange(SHARDS)


async def work(side: Side, found: list[Record], noise: random.Random) -> None:
    """Count in flushes of a few records, falling now and then, moving registered messages now and then."""
    while found:
        size = noise.randint(1, 5)
        some, found = found[:size], found[size:]
        if noise.random() < 0.2:
            await again(partial(side.fall, some))
        await again(partial(side.flush, some))
        if noise.random() < 0.4:
            await again(side.adopt)
        if noise.random() < 0.2:
            await again(side.sweep)


async def again(do: Callable[[], Awaitable[object]]) -> None:
    """Do it, and once more when it was part of a deadlock."""
    while True:
        try:
            await do()
        except SERIALIZATION:
            continue
        return


async def settle(at: Bench, side: Side) -> None:
    """Until nothing is left to look at, and what waits does so for good."""

    async def settled() -> bool:
        await again(side.sweep)
        await again(side.adopt)
        return not await at.value("SELECT count(*) FROM unregistered")

    await until(settled)
    await again(side.sweep)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(found=histories(), seed=st.integers(0, 2**32), at_once=st.booleans())
async def test_any_interleaving_ends_as_if_registrations_had_come_first(
    at: Bench, three: list[Side], found: list[Record], seed: int, at_once: bool
) -> None:
    workspace = next(EXAMPLES)
    noise = random.Random(seed)
    found = [msgspec.structs.replace(one, workspace=workspace) for one in found]
    if at_once:
        by_shard: dict[int, list[Record]] = {}
        for one in found:
            by_shard.setdefault(shard_of(one, noise), []).append(one)
        async with asyncio.TaskGroup() as tasks:
            for shard, some in by_shard.items():
                tasks.create_task(work(three[shard], some, noise))
    else:
        for one in found:
            await work(three[shard_of(one, noise)], [one], noise)
    await settle(at, three[0])
    await check(at, workspace, found)


async def test_clicks_are_judged_with_those_that_were_counted_before_the_registration(
    at: Bench, three: list[Side]
) -> None:
    """A burst of two messages' worth: what a webhook told before, and our own clicks of the registered one."""
    before = [told(EventType.CLICKED, 1, AT + n * TENTH, url=LINKS[n]) for n in range(3)]
    after: list[Record] = [registered(1, 1, tracks_clicks=False), hit(1, AT + 3 * TENTH, url=LINKS[3])]
    await three[0].flush([*before])
    await three[1].flush(after)
    await three[0].adopt()
    assert await at.total() == {"machine_clicks": 4}
    await check(at, 1, [*before, *after])


async def test_a_burst_that_turns_out_to_be_ours_to_count_leaves_no_trace(at: Bench, three: list[Side]) -> None:
    before = [told(EventType.CLICKED, 1, AT + n * TENTH, url=LINKS[n]) for n in range(4)]
    await three[0].flush([*before, told(EventType.SENT, 1, AT)])
    assert await at.total() == {"sent": 1, "machine_clicks": 4}
    mine: list[Record] = [registered(1, 1), hit(1, AT + 5 * TENTH, url=LINK)]
    await three[1].flush(mine)
    await three[0].adopt()
    assert await at.total() == {"sent": 1, "human_clicks": 1, "unique_clicks": 1}
    await check(at, 1, [*before, told(EventType.SENT, 1, AT), *mine])
