"""Deliveries of email providers, from the URL that the command prints to the rollups."""

import asyncio
import gzip
import hashlib
import json
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from click.testing import CliRunner
from redis.asyncio import Redis

from postmeter.cli.main import main
from postmeter.shared.errors import Unavailable
from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.records import Event
from postmeter.tracking.webhooks import handler
from postmeter.tracking.webhooks.providers import sns_certificates
from postmeter.tracking.webhooks.tokens import Tokens
from tests.integration.running_gateway import NO_REDIS, service
from tests.waiting import until
from tests.webhooks import postmark, sendgrid
from tests.webhooks.accounts import Mailgun, Postmark, SendGrid, Ses, moment, now
from tests.webhooks.deliveries import raw, source
from tests.webhooks.posting import WebhookGateway, posting
from tests.webhooks.signatures import basic
from tests.webhooks.sns import Sns


@pytest.fixture
async def post(postgres_dsn: str, redis_url: str, tmp_path: Path) -> AsyncIterator[WebhookGateway]:
    async with posting(postgres_dsn, redis_url, tmp_path) as found:
        yield found


async def test_hits_have_their_turn_between_large_items(post: WebhookGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    account, turns, seen = SendGrid(), 0, list[int]()
    door = await post.source("sendgrid", account.secret)
    read = handler.read

    def reading(*given: Any) -> list[Event]:
        seen.append(turns)
        return read(*given)

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(handler, "read", reading)
    going_on = asyncio.create_task(others())
    large = [sendgrid.event("delivered", sg_event_id=f"large {n}", padding="x" * handler.TURN_WORK) for n in range(10)]
    small = [sendgrid.event("delivered", sg_event_id=f"small {n}") for n in range(200)]
    try:
        assert (await post.take(door, account.signed(large + small)))["accepted"] == 210
    finally:
        going_on.cancel()
    assert len(set(seen[:10])) == 10
    assert len(set(seen[10:])) > 4


async def test_one_bad_item_of_a_batch(post: WebhookGateway) -> None:
    account = SendGrid()
    door = await post.source("sendgrid", account.secret)
    message = await post.register()
    good = [
        sendgrid.event("delivered", timestamp=int(now()), sg_event_id=f"e{number}", postmeter_id=message)
        for number in range(3)
    ]
    bad = [
        {"event": "delivered", "timestamp": "soon"},
        5,
        sendgrid.event("bounce") | {"sg_message_id": [], "postmeter_id": 7, "smtp-id": {}, "email": None},
    ]
    call = account.signed([good[0], bad[0], good[1], bad[1], bad[2], good[2]])
    answer = await post.take(door, call)
    assert answer["accepted"] == 3
    assert [(one["index"], one["code"]) for one in answer["rejected"]] == [(n, "UNREADABLE") for n in (1, 3, 4)]
    await post.counts({"delivered": 3})
    letters = await post.dead_letters()
    assert sorted(bytes(letter["record"]) for letter in letters) == sorted(json.dumps(item).encode() for item in bad)
    assert all(letter["reason"].startswith(f"webhook {door.id}: ") for letter in letters)
    assert all(letter["workspace"] == 1 for letter in letters)


async def test_unknown_events_are_kept_and_counted_nowhere(post: WebhookGateway) -> None:
    account = SendGrid()
    door = await post.source("sendgrid", account.secret)
    message = await post.register()
    of_the_account = {"event": "account_status_change", "type": "suspend", "sg_event_id": "a", "timestamp": int(now())}
    answer = await post.take(
        door,
        account.signed([sendgrid.event("teleported", timestamp=int(now()), postmeter_id=message), of_the_account]),
    )
    assert answer == {"accepted": 2, "rejected": []}
    rows = {row["reason"]: row for row in await post.history(2)}
    assert set(rows) == {"teleported", "account_status_change suspend"}
    assert {row["type"] for row in rows.values()} == {EventType.UNKNOWN}
    assert str(rows["teleported"]["message"]) == message
    assert rows["account_status_change suspend"]["message"] is None
    await post.counts({})
    assert await post.dead_letters() == []


@pytest.mark.parametrize("at", [0, 4_102_444_800])
async def test_an_impossible_time_counts_when_it_was_received(post: WebhookGateway, at: int) -> None:
    account = SendGrid()
    door = await post.source("sendgrid", account.secret)
    message = await post.register()
    await post.take(door, account.signed([sendgrid.event("delivered", timestamp=at, postmeter_id=message)]))
    (row,) = await post.history(1)
    assert abs(row["at"] - datetime.now(UTC)) < timedelta(minutes=5)
    assert row["claimed_at"] == datetime.fromtimestamp(at, UTC)
    await post.counts({"delivered": 1})


async def test_a_token_of_mailgun_signs_one_event(post: WebhookGateway) -> None:
    account = Mailgun()
    door = await post.source("mailgun", account.secret)
    message = await post.register()
    genuine = account.event("delivered", "m@mg.example", message)
    call = account.signed(genuine, token="seen by somebody")
    assert (await post.take(door, call))["accepted"] == 1
    stolen = json.loads(call[0]) | {"event-data": account.event("complained", "m@mg.example", message)}
    status, body, _ = await post.post(door, (raw(stolen), {}))
    assert (status, body["error"]["code"]) == (401, "WEBHOOK_REFUSED")
    # Mailgun's own second attempt, written differently.
    again = json.dumps(json.loads(call[0]), indent=1, sort_keys=True).encode()
    assert (await post.take(door, (again, {})))["accepted"] == 1
    await post.counts({"delivered": 1})


async def test_a_token_of_mailgun_is_spent_at_every_source_of_its_key(post: WebhookGateway) -> None:
    account, stranger = Mailgun(), Mailgun()
    stranger.secret = "signing key of somebody else"
    here, there = [await post.source("mailgun", account.secret) for _ in range(2)]
    elsewhere = await post.source("mailgun", stranger.secret)
    message = await post.register()
    call = account.signed(account.event("delivered", "m@mg.example", message), token="seen")
    assert (await post.take(here, call))["accepted"] == 1
    stolen = json.loads(call[0]) | {"event-data": account.event("complained", "m@mg.example", message)}
    status, body, _ = await post.post(there, (raw(stolen), {}))
    assert (status, body["error"]["code"]) == (401, "WEBHOOK_REFUSED")
    assert (await post.take(there, call))["accepted"] == 1
    other = stranger.signed(stranger.event("delivered", "o@mg.example", await post.register()), token="seen")
    assert (await post.take(elsewhere, other))["accepted"] == 1
    await post.counts({"delivered": 2})


async def test_without_redis_no_token_is_taken() -> None:
    redis = Redis.from_url(NO_REDIS)
    with pytest.raises(Unavailable) as caught:
        await Tokens(redis).claim(source("mailgun", "s"), "token", b"{}")
    assert caught.value.retry_after == 5
    await redis.aclose()


async def test_a_subscription_is_confirmed_and_its_end_is_not_an_event(post: WebhookGateway) -> None:
    account = Ses(post.sns)
    door = await post.source("ses", "", *account.options)
    nothing = {"accepted": 0, "rejected": []}
    hostile = "http://169.254.169.254/latest/meta-data"
    call = account.signed("You have chosen to subscribe", "SubscriptionConfirmation", SubscribeURL=hostile)
    assert await post.take(door, call) == nothing
    assert [url.partition("?")[0] for url in post.sns.asked] == [Sns.certificate_url, f"{Sns.host}/"]
    assert await post.take(door, account.signed("Goodbye", "UnsubscribeConfirmation")) == nothing
    assert await post.take(door, account.signed("Successfully validated SNS topic for Amazon SES.")) == nothing
    assert len(post.sns.asked) == 2
    assert await post.bench.streams.ends() == {}


async def test_a_hostile_certificate_and_a_strange_topic_ask_nothing(post: WebhookGateway) -> None:
    account = Ses(post.sns)
    door = await post.source("ses", "", *account.options)
    strange = "arn:aws:sns:eu-west-1:999999999999:mine"
    for changes in ({"SigningCertURL": "https://evil.example/SimpleNotificationService-0.pem"}, {"TopicArn": strange}):
        for kind in ("Notification", "SubscriptionConfirmation"):
            status, _, _ = await post.post(door, account.signed("{}", kind, **changes))
            assert status == 401
    assert post.sns.asked == []


async def test_raw_deliveries_of_sns(post: WebhookGateway) -> None:
    account = Ses(post.sns)
    door = await post.source("ses", "", *account.options)
    message = await post.register()
    content = json.loads(account.delivered(door, "m-1", message)[0])["Message"].encode()
    headers = {"x-amz-sns-rawdelivery": "true", "x-amz-sns-topic-arn": Sns.topic}
    status, _, answered = await post.post(door, (content, headers))
    assert status == 401
    assert answered["WWW-Authenticate"].startswith("Basic ")
    assert (await post.take(door, (content, headers | basic(door.secret))))["accepted"] == 1
    await post.counts({"delivered": 1})


async def test_compressed_deliveries_and_bombs(post: WebhookGateway) -> None:
    account = Postmark()
    door = await post.source("postmark")
    message = await post.register()
    body, headers = account.delivered(door, str(uuid.uuid4()), message)
    packed = headers | {"Content-Encoding": "gzip"}
    assert (await post.take(door, (gzip.compress(body), packed)))["accepted"] == 1
    bomb = gzip.compress(b" " * (17 << 20))
    for content, sent, expected in (
        (bomb, packed, 413),
        (b" " * (17 << 20), headers, 413),
        (gzip.compress(body)[:-9], packed, 400),
        (body, packed, 400),
        (b"[" * 100_000, headers, 400),
        (b'{"a":' * 100_000, headers, 400),
        (b'{"RecordType": NaN}', headers, 400),
        (b"\xff\xfe\x00", headers, 400),
        (b"", headers, 400),
    ):
        status, answer, _ = await post.post(door, (content, sent))
        assert (status, list(answer)) == (expected, ["error"])
    await post.counts({"delivered": 1})


async def test_hostile_texts_are_stored_cut(post: WebhookGateway) -> None:
    door = await post.source("postmark")
    message = await post.register()
    click = postmark.record(
        "Click",
        ReceivedAt=datetime.now(UTC).isoformat(),
        Recipient="ada@mail.example",
        OriginalLink="https://shop.example/<script>" + "x" * 9000,
        UserAgent="<b>" * 5000,
        Metadata={"postmeter_id": message},
        Tag="\0" * 500,
    )
    assert (await post.take(door, (raw(click), basic(door.secret))))["accepted"] == 1
    (row,) = await post.history(1)
    assert len(row["url"]) == 8192
    assert len(row["user_agent"].encode()) <= 512
    # Neither the address nor the password is anywhere.
    await post.bench.counted()
    for table in ("event", "message", "dead_letter", "webhook_source"):
        stored = await post.bench.value(f"SELECT string_agg(t::text, ' ') FROM {table} t")
        assert "ada@mail.example" not in (stored or "")
        assert door.secret not in (stored or "")


async def test_only_the_right_url_is_a_webhook(post: WebhookGateway) -> None:
    account = Postmark()
    door = await post.source("postmark")
    call = account.delivered(door, str(uuid.uuid4()))
    for url in (
        door.url.replace("/postmark/", "/sparkpost/"),
        door.url.replace("/postmark/", "/nobody/"),
        door.url[:-1] + ("a" if door.url[-1] != "a" else "b"),
        door.url + "x",
        f"{post.gateway}/v1/webhooks/postmark/..%2f{door.id}",
    ):
        status, _, _ = await post.post(type(door)(url, door.secret), call)
        assert status == 404
    async with post.session.get(door.url) as answer:
        assert (answer.status, json.loads(await answer.read())) == (200, {"provider": "postmark"})
    async with post.session.head(door.url) as answer:
        assert answer.status == 200
    await post.command("source", "revoke", door.id)

    async def gone() -> bool:
        return (await post.post(door, call))[0] == 404

    await until(gone)


async def test_a_source_speaks_for_its_workspace_only(post: WebhookGateway) -> None:
    await post.here.workspace("other")
    door = await post.source("postmark", workspace="other")
    message = await post.register()
    account = Postmark()
    assert (await post.take(door, account.delivered(door, str(uuid.uuid4()), message)))["accepted"] == 1
    await post.bench.counted()
    assert await post.bench.value("SELECT count(*) FROM event") == 0
    assert await post.bench.total() == {}


async def test_two_sources_of_one_provider_tell_an_event_once(post: WebhookGateway) -> None:
    account = SendGrid()
    doors = [await post.source("sendgrid", account.secret) for _ in range(2)]
    message = await post.register()
    call = account.delivered(doors[0], "m", message)
    answers = await asyncio.gather(*(post.take(door, call) for door in doors * 10))
    assert all(answer["accepted"] == 1 for answer in answers)
    await post.counts({"delivered": 1})


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--provider", "ses"], "topics"),
        (["--provider", "ses", "--option", "topic=arn"], "topics"),
        (["--provider", "ses", "--option", "topics="], "topics"),
        (["--provider", "postmark", "--option", "topics=arn"], "no options"),
        (["--provider", "postmark", "--option", "=x"], "NAME=VALUE"),
        (["--provider", "nobody"], "nobody"),
        (["--provider", "postmark", "--workspace", "nobody's"], "no workspace"),
    ],
)
async def test_a_source_that_could_not_work_is_not_made(postgres_dsn: str, arguments: list[str], hint: str) -> None:
    environ = {"POSTMETER_POSTGRES_DSN": postgres_dsn, "POSTMETER_SOURCE_KEY": "k"}
    command = ["source", "create", "--workspace", "w", *arguments]
    result = await asyncio.to_thread(CliRunner().invoke, main, command, env=environ)
    assert result.exit_code != 0
    assert hint in f"{result.output} {result.exception}"


async def test_the_way_out_follows_nothing_and_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        if request.path == "/moved":
            raise web.HTTPFound("/certificate")
        if request.path == "/silent":
            await asyncio.Event().wait()
        return web.Response(body=b"x" * (sns_certificates.MAX_BYTES + (request.path == "/large")))

    monkeypatch.setattr(sns_certificates, "FETCH_SECONDS", 0.2)
    async with service(answer) as url:
        assert len(await sns_certificates.fetch(f"{url}/certificate")) == sns_certificates.MAX_BYTES
        for path in ("/moved", "/large"):
            with pytest.raises(aiohttp.ClientError):
                await sns_certificates.fetch(url + path)
        with pytest.raises(TimeoutError):
            await sns_certificates.fetch(f"{url}/silent")
    assert asked == ["/certificate", "/moved", "/large", "/silent"]


async def test_what_is_kept_of_a_recipient(post: WebhookGateway) -> None:
    """Mail that nobody has registered, told by its provider."""
    account = Postmark()
    door = await post.source("postmark")
    await post.take(door, account.delivered(door, "3f1c3a9a-0001-4a52-8a5e-0123456789ab"))
    await post.counts({"delivered": 1})
    row = await post.bench.db.fetchrow("SELECT * FROM message")
    assert row is not None
    assert (row["provider"], row["provider_message"]) == ("POSTMARK", "3f1c3a9a-0001-4a52-8a5e-0123456789ab")
    assert row["to_hash"] == hashlib.sha256(b"ada@mail.example").hexdigest()
    assert row["to_domain"] == "mail.example"
    assert row["tags"] == ["welcome"]


async def test_whose_opens_count(post: WebhookGateway) -> None:
    """By default ours, where the mail carries ours; the provider's, where a source of that provider says so."""
    theirs, account = await post.source("postmark"), SendGrid()
    await post.command("source", "engagement", theirs.id, "provider")
    ours = await post.source("sendgrid", account.secret)
    chosen = await post.register(provider="POSTMARK")
    carries = await post.register(provider="SENDGRID")
    bare = await post.register(provider="SENDGRID", track_opens=False)
    opened = postmark.record(
        "Open", ReceivedAt=moment(), UserAgent="Thunderbird", Metadata={"postmeter_id": chosen}, MessageID="m-1"
    )
    await post.take(theirs, (raw(opened), basic(theirs.secret)))
    told = [
        sendgrid.event("open", timestamp=int(now()), sg_event_id=message, postmeter_id=message, useragent="Thunderbird")
        for message in (carries, bare)
    ]
    await post.take(ours, account.signed(told))
    rows = {str(row["message"]): (row["counted"], row["verdict_reason"]) for row in await post.history(3)}
    assert rows == {chosen: (True, None), carries: (False, "own_tracking_counts"), bare: (True, None)}
    await post.counts({"human_opens": 2, "unique_opens": 2})
