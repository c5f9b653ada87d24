"""Mailgun's webhooks of before 2018: signed forms of two encodings, read as the newer ones are."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from postmeter.shared.stream.events import BounceType, EventType
from postmeter.tracking.webhooks import items
from postmeter.tracking.webhooks.provider import Delivery, Reading
from postmeter.tracking.webhooks.providers.mailgun import PROVIDER
from tests.webhooks.deliveries import NOW, OUR_ID, refusal, source
from tests.webhooks.signatures import mailgun_signature

KEY = "the account's webhook signing key"
SOURCE = source("mailgun", KEY)
Fields = list[tuple[str, str]]
HEADERS = [["Received", "by mx"], ["Subject", "Hello"], ["From", "Shop <news@shop.example>"]]


def fields(event: str, **more: str) -> Fields:
    told = mailgun_signature(KEY) | {
        "event": event,
        "recipient": "ada@mail.example",
        "domain": "mg.shop.example",
        "Message-Id": "<20260301.1@mg.shop.example>",
        "message-headers": json.dumps(HEADERS),
        "postmeter_id": OUR_ID,
        "order": "7",
    }
    return [*(told | more).items(), ("X-Mailgun-Tag", "welcome"), ("X-Mailgun-Tag", "spring")]


def urlencoded(told: Fields) -> Delivery:
    return _delivery(urlencode(told).encode(), "application/x-www-form-urlencoded; charset=utf-8")


def multipart(told: Fields) -> Delivery:
    parts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}' for name, value in told]
    parts.append('Content-Disposition: form-data; name="attachment-1"; filename="message.mime"\r\n\r\nevent=opened')
    body = "".join(f"--b0undary\r\n{part}\r\n" for part in parts) + "--b0undary--\r\n"
    return _delivery(body.encode(), 'multipart/form-data; boundary="b0undary"')


def _delivery(body: bytes, content_type: str) -> Delivery:
    return Delivery(body, CIMultiDict({"Content-Type": content_type}), "https://gateway.example/", NOW * 1_000_000)


def read(delivery: Delivery) -> Reading:
    (item,) = PROVIDER.items(delivery)
    (found,) = PROVIDER.read(item)
    return found


@pytest.mark.parametrize("encoded", [urlencoded, multipart])
@pytest.mark.parametrize(
    ("event", "more", "kind", "bounce"),
    [
        ("delivered", {}, EventType.DELIVERED, None),
        ("opened", {}, EventType.OPENED, None),
        ("clicked", {"url": "https://shop.example/"}, EventType.CLICKED, None),
        ("complained", {}, EventType.COMPLAINED, None),
        ("unsubscribed", {}, EventType.UNSUBSCRIBED, None),
        ("bounced", {"code": "550"}, EventType.BOUNCED, BounceType.HARD),
        ("dropped", {"reason": "hardfail", "code": "605"}, EventType.FAILED, None),
        ("dropped", {"reason": "old"}, EventType.BOUNCED, BounceType.SOFT),
        ("stored", {}, EventType.UNKNOWN, None),
    ],
)
async def test_every_event(
    encoded: Any, event: str, more: dict[str, str], kind: EventType, bounce: BounceType | None
) -> None:
    given = encoded(fields(event, **more))
    await PROVIDER.verify(given, SOURCE)
    found = read(given)
    assert (found.type, found.name, found.bounce) == (kind, event, bounce)
    assert found.at == NOW * 1_000_000
    assert (found.message, found.provider_message) == (OUR_ID, "<20260301.1@mg.shop.example>")
    assert (found.recipient, found.subject) == ("ada@mail.example", "Hello")
    assert (found.from_address, found.tags) == ("Shop <news@shop.example>", ("welcome", "spring"))


def test_what_went_wrong_and_who_it_was() -> None:
    bounced = read(urlencoded(fields("bounced", code="550", error="5.1.1 gone", **{"campaign-id": "c1"})))
    assert (bounced.reason, bounced.campaign) == ("550 5.1.1 gone", "c1")
    opened = read(urlencoded(fields("opened", ip="203.0.113.9", **{"user-agent": "Mozilla/5.0"})))
    assert (opened.ip, opened.user_agent) == ("203.0.113.9", "Mozilla/5.0")


@pytest.mark.parametrize("encoded", [urlencoded, multipart])
async def test_a_form_that_mailgun_did_not_sign(encoded: Any) -> None:
    for changed in ({"signature": "0" * 64}, {"token": "another"}, {"token": ""}, {"timestamp": str(NOW - 90_000)}):
        await refusal(PROVIDER, encoded(fields("opened", **changed)), SOURCE)
    await refusal(PROVIDER, encoded([("event", "opened")]), SOURCE)


def test_a_token_stands_for_one_event() -> None:
    assert PROVIDER.once is not None
    token, content = PROVIDER.once(urlencoded(fields("opened")))
    assert PROVIDER.once(multipart(fields("opened"))) == (token, content)
    assert PROVIDER.once(urlencoded(fields("clicked")))[1] != content
    assert PROVIDER.once(urlencoded(fields("opened", token="u" * 50)))[0] != token


def test_an_event_that_is_sent_again_with_another_token_is_the_same() -> None:
    again = fields("opened", token="u" * 50, signature="f" * 64)
    assert PROVIDER.items(urlencoded(again)) == PROVIDER.items(urlencoded(fields("opened")))


FORMS = ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b"]


@given(st.binary(max_size=300), st.sampled_from([*FORMS, "multipart/form-data", "", ";", "b" * 999]))
async def test_no_body_is_an_error_of_ours(body: bytes, content_type: str) -> None:
    given = _delivery(body.replace(b"|", b"--b\r\n"), content_type)
    await refusal(PROVIDER, given, SOURCE)
    if content_type in FORMS:
        assert [PROVIDER.read(item) for item in PROVIDER.items(given)]


@pytest.mark.parametrize(
    "body",
    [b"a=b&" * 5_000, b"event=opened&" + b"x" * items.ITEM_BYTES, b"%" * items.ITEM_BYTES, b"--b" * 300_000],
    ids=["fields", "bytes", "escapes", "parts"],
)
async def test_a_form_is_bounded(body: bytes) -> None:
    for content_type in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=b"):
        await refusal(PROVIDER, _delivery(body, content_type), SOURCE)
