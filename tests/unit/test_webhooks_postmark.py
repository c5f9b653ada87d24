"""Postmark: the password in the webhook's URL, and what each record says."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.shared.errors import RequestError
from postmeter.shared.stream.events import BounceType, EventType
from postmeter.tracking.webhooks.providers.postmark import PROVIDER
from tests.webhooks.deliveries import OUR_ID, delivery, micros, reading, refusal, source
from tests.webhooks.postmark import AT, RECORDS, bounce, change, record
from tests.webhooks.signatures import basic

SECRET = "made by us"
SOURCE = source("postmark", SECRET)


@pytest.mark.parametrize("user", ["postmeter", "", "anybody"])
async def test_takes_the_password_under_any_user_name(user: str) -> None:
    await PROVIDER.verify(delivery(record("Open"), basic(SECRET, user)), SOURCE)


@given(st.text(max_size=30))
async def test_refuses_every_other_password(password: str) -> None:
    given = delivery(record("Open"), basic(password))
    if password == SECRET:
        await PROVIDER.verify(given, SOURCE)
    else:
        await refusal(PROVIDER, given, SOURCE)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        "Bearer " + SECRET,
        "Bearer " + base64.b64encode(f"a:{SECRET}".encode()).decode(),
        SECRET,
    ],
)
async def test_refuses_other_authentication_and_asks_for_the_right_one(header: str) -> None:
    with pytest.raises(RequestError) as caught:
        await PROVIDER.verify(delivery(record("Open"), {"Authorization": header}), SOURCE)
    assert caught.value.status == 401
    assert caught.value.headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    ("given", "expected", "name"),
    RECORDS,
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_record(given: dict[str, Any], expected: EventType, name: str) -> None:
    found = reading(PROVIDER, given)
    assert (found.type, found.name) == (expected, name)
    assert found.at == micros("2026-03-01T10:00:00.123456+00:00")
    assert (found.message, found.recipient) == (OUR_ID, "ada@mail.example")
    assert found.provider_message == "883953f4-6105-42a2-a16a-77a8eac79483"
    assert found.tags == ("welcome",)


HARD, SOFT = BounceType.HARD, BounceType.SOFT


@pytest.mark.parametrize(
    ("kind", "expected", "how"),
    [
        ("HardBounce", EventType.BOUNCED, HARD),
        ("BadEmailAddress", EventType.BOUNCED, HARD),
        ("SoftBounce", EventType.BOUNCED, SOFT),
        ("DnsError", EventType.BOUNCED, SOFT),
        ("Blocked", EventType.BOUNCED, SOFT),
        ("SpamNotification", EventType.BOUNCED, SOFT),
        ("VirusNotification", EventType.BOUNCED, SOFT),
        ("ChallengeVerification", EventType.BOUNCED, SOFT),
        ("DMARCPolicy", EventType.BOUNCED, SOFT),
        ("Unknown", EventType.BOUNCED, SOFT),
        ("Transient", EventType.DEFERRED, None),
        ("SpamComplaint", EventType.COMPLAINED, None),
        ("Unsubscribe", EventType.UNSUBSCRIBED, None),
        ("Subscribe", EventType.UNKNOWN, None),
        ("AutoResponder", EventType.UNKNOWN, None),
        ("AddressChange", EventType.UNKNOWN, None),
        ("OpenRelayTest", EventType.UNKNOWN, None),
        ("InboundError", EventType.UNKNOWN, None),
        ("ManuallyDeactivated", EventType.FAILED, None),
        ("Unconfirmed", EventType.FAILED, None),
        ("SMTPApiError", EventType.FAILED, None),
        ("TemplateRenderingFailed", EventType.FAILED, None),
    ],
)
def test_every_type_of_bounce(kind: str, expected: EventType, how: BounceType | None) -> None:
    found = reading(PROVIDER, bounce(kind))
    assert (found.type, found.bounce) == (expected, how)
    assert found.event_id == "4323372036854775807"
    assert (found.from_address, found.subject) == ("news@shop.example", "Hello")
    if expected is EventType.BOUNCED:
        assert found.reason == f"{kind} The server was unable to deliver your message. 550 no such user"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (change(True, "ManualSuppression", "Recipient"), EventType.UNSUBSCRIBED),
        (change(True, "ManualSuppression", "Customer"), EventType.UNKNOWN),
        (change(True, "ManualSuppression", "Admin"), EventType.UNKNOWN),
        (change(True, "HardBounce", "Recipient"), EventType.UNKNOWN),
        (change(True, "SpamComplaint", "Recipient"), EventType.UNKNOWN),
        (change(False, None, "Recipient"), EventType.UNKNOWN),
    ],
)
def test_only_a_recipients_wish_is_an_unsubscribe(given: dict[str, Any], expected: EventType) -> None:
    assert reading(PROVIDER, given).type is expected


def test_a_change_by_the_sender_is_of_no_message() -> None:
    by_sender = change(True, "ManualSuppression", "Customer") | {"MessageID": None, "Metadata": {}, "Tag": None}
    found = reading(PROVIDER, by_sender)
    assert (found.type, found.name) == (EventType.UNKNOWN, "SubscriptionChange ManualSuppression")
    assert (found.message, found.provider_message) == ("", "")


def test_engagement_in_full() -> None:
    found = reading(
        PROVIDER,
        record(
            "Click",
            ReceivedAt=AT,
            OriginalLink="https://shop.example/?a=1",
            UserAgent="Thunderbird",
            Geo={"IP": "203.0.113.9", "City": None},
        ),
    )
    assert (found.url, found.user_agent, found.ip) == ("https://shop.example/?a=1", "Thunderbird", "203.0.113.9")
    assert reading(PROVIDER, record("Open", Geo=None, UserAgent=None)).ip == ""


def test_the_consoles_example_is_nobodys_message() -> None:
    example = record("Open", MessageID="00000000-0000-0000-0000-000000000000")
    assert reading(PROVIDER, example).provider_message == ""
