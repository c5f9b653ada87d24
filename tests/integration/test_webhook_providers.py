"""Mandrill, Brevo, Mailjet, MailerSend, Mailtrap and Postal: from a source made by command to what is counted."""

import gzip
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.webhook_senders import BASE, SENDERS, Office, Sender, hook, open_office
from tests.webhooks.deliveries import Headers
from tests.webhooks.signatures import basic

every_sender = pytest.mark.parametrize("sender", SENDERS, ids=lambda sender: sender.slug)
batching_sender = pytest.mark.parametrize(
    "sender", [one for one in SENDERS if one.many], ids=lambda sender: sender.slug
)
HOSTILE = (b"", b"[" * 100_000, b'{"a":' * 100_000, b"\xff\x00", b"NaN", b"1e400", b"9" * 100_000)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(
    shared_postgres_dsn: str, shared_redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Office]:
    """One for all; each test has a workspace of its own."""
    async with open_office(shared_postgres_dsn, shared_redis_url, tmp_path_factory.mktemp("office")) as opened:
        yield opened


pytestmark = pytest.mark.asyncio(loop_scope="module")


@every_sender
async def test_what_is_delivered_is_counted_once(sender: Sender, office: Office) -> None:
    there = await hook(sender, office)
    events = [there.event("delivered", 1), there.event("opened", 1), there.event("bounced", 2)]
    for _ in range(3):
        assert await there.deliver(events) == (3, [])
    assert await there.history(1) == {"delivered": 1, "opened": 1}
    assert await there.history(2) == {"bounced": 1}
    totals = await there.totals()
    assert totals["delivered"] == 1
    assert totals.get("soft_bounced", 0) + totals.get("hard_bounced", 0) == 1


@every_sender
async def test_what_is_not_genuine_is_refused_and_what_is_hostile_does_no_harm(sender: Sender, office: Office) -> None:
    there = await hook(sender, office)
    (body,) = sender.pack([there.event("delivered", 1)])
    right = there.signed(body)
    unsigned: Headers = {name: value for name, value in right.items() if name == "Content-Type"}
    another = basic("x") if sender.secret is None else sender.sign(there.secret, f"{BASE}/elsewhere", body + b" ")
    for headers in (unsigned, dict.fromkeys(right, "x") | unsigned, another):
        status, answer = await there.post(body, headers)
        assert (status, answer["error"]["code"]) == (401, "WEBHOOK_REFUSED")
    letters = 0
    for hostile in HOSTILE:
        status, answer = await there.post(hostile, there.signed(hostile))
        if status == 200:  # JSON lines: a line that cannot be read is a bad item
            assert (answer["accepted"], len(answer["rejected"])) == (0, 1)
            letters += 1
        else:
            assert status in (400, 401), (hostile[:9], answer)
    # Before they take a URL, some providers look whether there is anything.
    assert [await there.status_of(method) for method in ("HEAD", "GET")] == [200, 200]
    assert await there.history(1) == {}
    assert len(await there.dead_letters()) == letters

    status, answer = await there.post(gzip.compress(body), right | {"Content-Encoding": "gzip"})
    assert (status, answer["accepted"]) == (200, 1)
    assert await there.history(1) == {"delivered": 1}


@batching_sender
async def test_one_bad_item_leaves_the_others(sender: Sender, office: Office) -> None:
    there = await hook(sender, office)
    unknown = there.event("delivered", 1) | {"event": "teleported"}
    events = [there.event("delivered", 1), {"event": [7]}, unknown, {"no": "event"}, there.event("opened", 1)]
    assert await there.deliver(events) == (3, [1, 3])
    assert await there.history(1) == {"delivered": 1, "opened": 1, "unknown": 1}
    assert await there.reasons() == ["teleported"]
    letters = await there.dead_letters()
    assert [word in letter for letter, word in zip(letters, (b"7", b"no"), strict=True)] == [True, True]
