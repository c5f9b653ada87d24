"""Amazon SNS: who may speak, what is fetched from where, and how a topic is subscribed."""

import asyncio
from collections import OrderedDict
from dataclasses import replace
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from postmeter.shared.errors import RequestError, Unavailable
from postmeter.shared.stream.events import EventType
from postmeter.tracking.webhooks.providers import sns_certificates
from postmeter.tracking.webhooks.providers.ses import PROVIDER
from tests.webhooks.deliveries import NOW, delivery, readings, refusal, source
from tests.webhooks.ses import event, raw_delivery
from tests.webhooks.signatures import basic
from tests.webhooks.sns import Sns, certificate

SECRET = "made by us"


@pytest.fixture
def sns(monkeypatch: pytest.MonkeyPatch) -> Sns:
    found = Sns()
    monkeypatch.setattr(sns_certificates, "outside", found.fetch)
    monkeypatch.setattr(sns_certificates, "_known", OrderedDict())
    return found


def the_source(topics: str = Sns.topic) -> Any:
    return source("ses", SECRET, topics=topics)


def wrapped(sns: Sns, content: Any) -> Any:
    return delivery(sns.message(content))


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", ["Amazon SES Email Event Notification", None])
async def test_takes_what_sns_has_signed(sns: Sns, version: str, subject: str | None) -> None:
    message = sns.message(event("Send"), version=version, Subject=subject)
    if subject is None:
        del message["Subject"]
    await PROVIDER.verify(delivery(message), the_source())
    assert [found.type for found in readings(PROVIDER, message)] == [EventType.SENT]


async def test_asks_for_a_certificate_once_however_many_messages_wait_for_it(sns: Sns) -> None:
    given = [wrapped(sns, event("Send")) for _ in range(20)]
    await asyncio.gather(*(PROVIDER.verify(one, the_source()) for one in given))
    await PROVIDER.verify(given[0], the_source())
    assert sns.asked == [sns.certificate_url]


@pytest.mark.parametrize(
    "changed",
    [
        {"Message": "{}"},
        {"MessageId": "another"},
        {"Subject": "another"},
        {"Timestamp": "2026-09-21T15:33:21.123Z"},
        {"Type": "UnsubscribeConfirmation", "Token": "t"},
        {"SignatureVersion": "1"},
        {"Signature": "AAAA"},
        {"Signature": "not base64!"},
        {"Signature": ""},
    ],
    ids=str,
)
async def test_refuses_a_message_that_was_changed(sns: Sns, changed: dict[str, str]) -> None:
    forged = sns.message(event("Send")) | changed
    assert "signature" in await refusal(PROVIDER, delivery(forged), the_source())


@pytest.mark.parametrize("version", ["", "0", "3", "SHA1"])
async def test_refuses_an_unknown_version_of_signature(sns: Sns, version: str) -> None:
    await refusal(PROVIDER, delivery(sns.message(event("Send")) | {"SignatureVersion": version}), the_source())


async def test_a_type_of_several_lines_is_none(sns: Sns) -> None:
    # SNS signs names and values on lines of their own: what somebody publishes to a topic of theirs may read as if it
    # were of ours, up to the type, which then holds the rest.
    theirs = sns.topic.replace("mail-events", "theirs")
    at = sns.unsigned()["Timestamp"]
    text = f"{{}}\nMessageId\n1\nSubscribeURL\nu\nTimestamp\n{at}\nToken\nt\nTopicArn\n{sns.topic}\nType\nX"
    genuine = sns.message(text, TopicArn=theirs, Subject=None, MessageId="id")
    rest = f"X\nMessageId\nid\nTimestamp\n{at}\nTopicArn\n{theirs}\nType\nNotification"
    forged = genuine | {"Message": "{}", "MessageId": "1", "SubscribeURL": "u", "Token": "t", "TopicArn": sns.topic}
    forged["Type"] = rest
    assert "unknown type" in await refusal(PROVIDER, delivery(forged), the_source())


async def test_refuses_somebody_elses_signature(sns: Sns) -> None:
    await refusal(PROVIDER, delivery(Sns().message(event("Send"))), the_source())


@pytest.mark.parametrize("seconds", [-2 * 3600 - 5, 2 * 3600 + 5])
async def test_refuses_an_old_message(sns: Sns, seconds: int) -> None:
    given = delivery(sns.message(event("Send")), now=NOW + seconds)
    assert "old" in await refusal(PROVIDER, given, the_source())
    await PROVIDER.verify(delivery(sns.message(event("Send")), now=NOW + seconds / 2), the_source())


@pytest.mark.parametrize("timestamp", ["", "yesterday", "2026-13-01T00:00:00Z"])
async def test_refuses_a_message_without_a_time(sns: Sns, timestamp: str) -> None:
    await refusal(PROVIDER, delivery(sns.message(event("Send"), Timestamp=timestamp)), the_source())


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/SimpleNotificationService-0a0a0a0a0a0a0a0a.pem",
        "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a0a0a0a0a0a0a0a.pem",
        "https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-0a0a0a0a0a0a0a0a.pem",
        "https://sns.eu-west-1.amazonaws.com@evil.example/SimpleNotificationService-0a0a0a0a0a0a0a0a.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/SimpleNotificationService-0a0a0a0a0a0a0a0a.pem",
        "https://evil.example#sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a0a0a0a0a0a0a0a.pem",
        # Buckets that anybody may own.
        "https://sns.s3-eu-west-1.amazonaws.com/SimpleNotificationService-0a0a0a0a0a0a0a0a.pem",
        "https://sns.s3.eu-west-1.amazonaws.com/SimpleNotificationService-0a0a0a0a0a0a0a0a.pem",
        # SNS, but not where the topic is.
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0a0a0a0a0a0a0a0a.pem",
        "https://sns.eu-west-1.amazonaws.com.cn/SimpleNotificationService-0a0a0a0a0a0a0a0a.pem",
        "https://sns.eu-west-1.amazonaws.com/../SimpleNotificationService-0a0a0a0a0a0a0a0a.pem",
        "https://sns.eu-west-1.amazonaws.com/?Action=Publish&x=SimpleNotificationService-0a0a0a0a0a0a0a0a.pem",
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a0a0a0a0a0a0a0a.pem\n",
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a0a0a0a0a0a0a0a.pem?x",
        "HTTPS://SNS.EU-WEST-1.AMAZONAWS.COM/SimpleNotificationService-0a0a0a0a0a0a0a0a.pem",
        "/SimpleNotificationService-0a0a0a0a0a0a0a0a.pem",
        "file:///etc/passwd",
        "",
    ],
)
async def test_a_hostile_certificate_url_makes_no_request(sns: Sns, url: str) -> None:
    await refusal(PROVIDER, delivery(sns.message(event("Send"), SigningCertURL=url)), the_source())
    assert sns.asked == []


@given(st.text(max_size=60), st.text(max_size=60))
async def test_no_certificate_url_leads_elsewhere(before: str, after: str) -> None:
    asked: list[str] = []

    async def fetch(url: str) -> bytes:
        asked.append(url)
        raise aiohttp.ClientError("nothing there")

    message = Sns.unsigned() | {"SigningCertURL": f"{before}sns.eu-west-1.amazonaws.com{after}"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sns_certificates, "outside", fetch)
        with pytest.raises((RequestError, Unavailable)):
            await PROVIDER.verify(delivery(message), the_source())
    assert all(url.startswith(f"{Sns.host}/SimpleNotificationService-") for url in asked)


@pytest.mark.parametrize(
    "topics",
    [
        "",
        "arn:aws:sns:eu-west-1:123456789012:another",
        Sns.topic + "2",
        Sns.topic.replace("eu-west-1", "us-east-1"),
        "*",
    ],
)
async def test_a_topic_that_the_source_does_not_name_makes_no_request(sns: Sns, topics: str) -> None:
    for kind in ("Notification", "SubscriptionConfirmation"):
        given = delivery(sns.message(event("Send"), kind))
        assert "topic" in await refusal(PROVIDER, given, the_source(topics))
    assert sns.asked == []


@pytest.mark.parametrize("region", ["s3-eu-west-1", "s3.eu-west-1", "evil", "", "eu-west-1.evil.example#"])
async def test_a_topic_of_no_region_makes_no_request_even_if_it_is_named(sns: Sns, region: str) -> None:
    strange = f"arn:aws:sns:{region}:123456789012:mail-events"
    url = Sns.certificate_url.replace("eu-west-1", region)
    given = delivery(sns.message(event("Send"), TopicArn=strange, SigningCertURL=url))
    assert "topic" in await refusal(PROVIDER, given, the_source(strange))
    assert sns.asked == []


async def test_several_topics_and_the_chinese_partition(sns: Sns) -> None:
    chinese = "arn:aws-cn:sns:cn-north-1:123456789012:mail"
    url = f"https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-{'1b' * 16}.pem"
    given = delivery(sns.message(event("Send"), TopicArn=chinese, SigningCertURL=url))
    await PROVIDER.verify(given, the_source(f"{Sns.topic}, {chinese}"))
    assert sns.asked == [url]


async def test_a_certificate_that_is_away_is_not_a_verdict(sns: Sns, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(url: str) -> bytes:
        raise aiohttp.ClientConnectionError(url)

    given = wrapped(sns, event("Send"))
    monkeypatch.setattr(sns_certificates, "outside", away)
    with pytest.raises(Unavailable):
        await PROVIDER.verify(given, the_source())
    monkeypatch.setattr(sns_certificates, "outside", sns.fetch)
    await PROVIDER.verify(given, the_source())


async def test_forged_messages_open_few_connections_and_keep_no_other_workspace_waiting(
    sns: Sns, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, full, release = 0, asyncio.Event(), asyncio.Event()

    async def slow(url: str) -> bytes:
        nonlocal waiting
        if url == Sns.certificate_url:
            return sns.certificate
        waiting += 1
        if waiting == sns_certificates.OF_ONE:
            full.set()
        await release.wait()
        return sns.certificate

    monkeypatch.setattr(sns_certificates, "outside", slow)
    urls = [f"{Sns.host}/SimpleNotificationService-{number:032x}.pem" for number in range(50)]
    forged = [delivery(sns.message(event("Send"), SigningCertURL=url)) for url in urls]
    asking = asyncio.gather(*(PROVIDER.verify(one, the_source()) for one in forged), return_exceptions=True)
    await full.wait()
    await PROVIDER.verify(wrapped(sns, event("Send")), replace(the_source(), workspace=2))
    release.set()
    answers = await asking
    assert waiting == sns_certificates.OF_ONE
    assert sum(isinstance(one, Unavailable) for one in answers) == 50 - waiting


@pytest.mark.parametrize("what", ["nothing", "text", "expired", "early", "no RSA key"])
async def test_refuses_what_is_not_a_certificate_of_now(sns: Sns, what: str) -> None:
    elliptic = ec.generate_private_key(ec.SECP256R1())
    sns.certificate = {
        "nothing": b"",
        "text": b"<html>no</html>",
        "expired": sns.certified(timedelta(seconds=-1)),
        "early": sns.certified(timedelta(days=366)),
        "no RSA key": certificate(elliptic, timedelta(days=30)),
    }[what]
    await refusal(PROVIDER, wrapped(sns, event("Send")), the_source())


async def test_confirms_a_subscription_at_an_address_of_our_own_making(sns: Sns) -> None:
    given = delivery(
        sns.message("You have chosen to subscribe", "SubscriptionConfirmation", SubscribeURL="https://evil.example/")
    )
    await PROVIDER.verify(given, the_source())
    assert PROVIDER.reply is not None
    assert await PROVIDER.reply(given, the_source())
    arn = Sns.topic.replace(":", "%3A")
    token = "2336412f37fb687f5d51e6e2425e90ccf"
    assert sns.asked[1:] == [f"{Sns.host}/?Action=ConfirmSubscription&TopicArn={arn}&Token={token}"]


async def test_a_confirmation_that_fails_is_asked_for_again(sns: Sns, monkeypatch: pytest.MonkeyPatch) -> None:
    given = delivery(sns.message("Please confirm", "SubscriptionConfirmation"))
    await PROVIDER.verify(given, the_source())

    async def away(url: str) -> bytes:
        raise TimeoutError

    monkeypatch.setattr(sns_certificates, "outside", away)
    assert PROVIDER.reply is not None
    with pytest.raises(Unavailable):
        await PROVIDER.reply(given, the_source())


async def test_the_end_of_a_subscription_is_not_an_event_and_fetches_nothing(sns: Sns) -> None:
    given = delivery(sns.message("You have been unsubscribed", "UnsubscribeConfirmation"))
    await PROVIDER.verify(given, the_source())
    assert PROVIDER.reply is not None
    assert await PROVIDER.reply(given, the_source())
    assert sns.asked == [sns.certificate_url]


async def test_raw_deliveries_need_the_password_and_the_topic() -> None:
    named = {"X-Amz-Sns-RawDelivery": "true", "X-Amz-Sns-Topic-Arn": Sns.topic}
    body = event("Send")
    good = delivery(body, named | basic(SECRET))
    await PROVIDER.verify(good, the_source())
    assert PROVIDER.reply is not None
    assert not await PROVIDER.reply(good, the_source())
    for wrong in (named, named | basic("another"), basic(SECRET) | {"X-Amz-Sns-RawDelivery": "true"}):
        await refusal(PROVIDER, delivery(body, wrong), the_source())
    await refusal(PROVIDER, good, the_source("arn:aws:sns:eu-west-1:123456789012:another"))
    with pytest.raises(RequestError) as asked:
        await PROVIDER.verify(delivery(body, named), the_source())
    assert asked.value.headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff\xfe", b'{"Type": 5}', b"[" * 100_000, b'{"a":' * 100_000])
async def test_what_is_not_a_message_of_sns(sns: Sns, body: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        await PROVIDER.verify(delivery(body), the_source())
    assert caught.value.status in (400, 401)
    assert sns.asked == []


def test_the_line_that_ses_tries_a_topic_with_is_not_an_event(sns: Sns) -> None:
    line = "Successfully validated SNS topic for Amazon SES event publishing."
    assert PROVIDER.items(wrapped(sns, line)) == []
    assert PROVIDER.items(raw_delivery(line.encode())) == []
    with pytest.raises(RequestError):
        PROVIDER.items(wrapped(sns, "some other text"))
