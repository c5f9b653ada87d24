"""Every provider that calls webhooks: from a source made by command to what is counted."""

import gzip
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from postmeter.shared.stream.events import EventType
from tests.waiting import until
from tests.webhooks.accounts import SLUGS, WITHOUT_SNS, Account, Source, account
from tests.webhooks.posting import WebhookGateway, another, posting

every_provider = pytest.mark.parametrize("slug", SLUGS)
batching_provider = pytest.mark.parametrize("slug", [slug for slug, one in WITHOUT_SNS.items() if one.batches])
HOSTILE = (b"", b"[" * 100_000, b'{"a":' * 100_000, b"\xff\x00", b"NaN", b"1e400", b"9" * 100_000)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def all_posts(
    shared_postgres_dsn: str, shared_redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[WebhookGateway]:
    async with posting(shared_postgres_dsn, shared_redis_url, tmp_path_factory.mktemp("posts")) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def post(all_posts: WebhookGateway) -> WebhookGateway:
    """A workspace of the test's own."""
    return await another(all_posts)


async def opened(post: WebhookGateway, slug: str) -> tuple[Account, Source]:
    made = account(slug, post.sns)
    return made, await post.source(slug, made.secret, *made.options)


async def deliver(post: WebhookGateway, teller: Account, source: Source, events: list[Any]) -> tuple[int, list[int]]:
    """(accepted, indexes of what was rejected) over all bodies that carry `events`."""
    accepted, rejected = 0, list[int]()
    for body in teller.pack(events):
        answer = await post.take(source, (body, teller.sign(source.secret, source.url, body)))
        accepted += answer["accepted"]
        rejected += [one["index"] for one in answer["rejected"]]
    return accepted, rejected


async def kinds(post: WebhookGateway, rows: int) -> dict[str, Counter[str]]:
    """What is kept of each message, once there are so many rows."""
    found: dict[str, Counter[str]] = {}
    for row in await post.history(rows):
        found.setdefault(str(row["message"]), Counter())[EventType(row["type"]).name.lower()] += 1
    return found


@every_provider
async def test_a_delivery_counts_once_by_our_id_and_by_theirs(post: WebhookGateway, slug: str) -> None:
    teller, source = await opened(post, slug)
    theirs = {name: f"{uuid.uuid4()}" for name in ("known by ours", "known by theirs", "registered later")}
    ours = await post.register()
    # Mailgun's send answer has the id in angle brackets; its events have not.
    named = await post.register(provider=slug.upper(), provider_message_id=f"<{theirs['known by theirs']}>")
    late = str(uuid.uuid4())
    calls = [
        teller.delivered(source, theirs["known by ours"], ours),
        teller.delivered(source, theirs["known by theirs"]),
        teller.delivered(source, theirs["registered later"], late),
    ]
    for call in calls:
        assert await post.take(source, call) == {"accepted": 1, "rejected": []}
    await post.counts({"delivered": 2})
    await post.register(id=late)
    await post.counts({"delivered": 3})

    for call in calls * 2:
        assert (await post.take(source, call))["accepted"] == 1
    await post.counts({"delivered": 3})

    async def settled() -> bool:
        # An event that overtakes its registration has a message of its own until the sweep has moved it.
        return {str(row["message"]) for row in await post.history(3)} == {ours, named, late}

    await until(settled)
    rows = await post.history(3)
    assert {row["type"] for row in rows} == {EventType.DELIVERED}
    assert await post.dead_letters() == []


@every_provider
async def test_what_is_told_is_counted_once(post: WebhookGateway, slug: str) -> None:
    teller, source = await opened(post, slug)
    read, gone = await post.register(), await post.register()
    events = [teller.event("delivered", "a", read), teller.event("opened", "a", read)]
    events.append(teller.event("bounced", "b", gone))
    for _ in range(3):
        assert await deliver(post, teller, source, events) == (3, [])
    assert await kinds(post, 3) == {read: {"delivered": 1, "opened": 1}, gone: {"bounced": 1}}
    totals = await post.total()
    assert totals["delivered"] == 1
    assert totals.get("soft_bounced", 0) + totals.get("hard_bounced", 0) == 1


@every_provider
async def test_a_forged_delivery_leaves_nothing(post: WebhookGateway, slug: str) -> None:
    teller, source = await opened(post, slug)
    genuine = teller.delivered(source, str(uuid.uuid4()), await post.register())
    body, right = genuine
    media = {name: value for name, value in right.items() if name == "Content-Type"}
    wrong = [] if teller.signs_within else [(body, media), (body, dict.fromkeys(right, "x") | media)]
    for call in (teller.forged(genuine), *wrong):
        assert call != genuine
        status, answer, headers = await post.post(source, call)
        assert (status, answer["error"]["code"]) == (401, "WEBHOOK_REFUSED")
        assert not teller.secret or teller.secret not in answer["error"]["message"]
        if slug in ("postmark", "sparkpost"):
            assert headers["WWW-Authenticate"].startswith("Basic ")
    assert await post.history(0) == []
    assert (await post.take(source, genuine))["accepted"] == 1
    await post.counts({"delivered": 1})


@every_provider
async def test_what_is_hostile_does_no_harm(post: WebhookGateway, slug: str) -> None:
    teller, source = await opened(post, slug)
    letters = 0
    for hostile in HOSTILE:
        status, answer, _ = await post.post(source, (hostile, teller.sign(source.secret, source.url, hostile)))
        if status == 200:  # JSON lines: a line that cannot be read is a bad item
            assert (answer["accepted"], len(answer["rejected"])) == (0, 1)
            letters += 1
        else:
            assert status in (400, 401), (hostile[:9], answer)
    # Before they take a URL, some providers look whether there is anything.
    for method in ("HEAD", "GET"):
        async with post.session.request(method, source.url) as looked:
            assert looked.status == 200
    assert await post.history(0) == []
    assert len(await post.dead_letters()) == letters

    body, headers = teller.delivered(source, "a", await post.register())
    packed = headers | {"Content-Encoding": "gzip"}
    assert (await post.take(source, (gzip.compress(body), packed)))["accepted"] == 1
    await post.counts({"delivered": 1})


@batching_provider
async def test_one_bad_item_leaves_the_others(post: WebhookGateway, slug: str) -> None:
    teller, source = await opened(post, slug)
    message = await post.register()
    told = teller.event("delivered", "a", message)
    unknown = teller.event("delivered", "a", message) | {"event": "teleported"}
    events = [told, {"event": [7]}, unknown, {"no": "event"}, teller.event("opened", "a", message)]
    assert await deliver(post, teller, source, events) == (3, [1, 3])
    assert await kinds(post, 3) == {message: {"delivered": 1, "opened": 1, "unknown": 1}}
    assert [row["reason"] for row in await post.history(3) if row["reason"]] == ["teleported"]
    letters = [bytes(letter["record"]) for letter in await post.dead_letters()]
    assert [word in letter for letter, word in zip(letters, (b"7", b"no"), strict=True)] == [True, True]
