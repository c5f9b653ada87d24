"""Mailgun: its signature inside the body, one event for one token, and what each event says."""

import json
from typing import Any

import pytest

from postmeter.shared.errors import RequestError
from postmeter.shared.stream.events import BounceType, EventType
from postmeter.tracking.webhooks.providers.mailgun import FRESH_SECONDS, PROVIDER
from tests.webhooks.deliveries import NOW, OUR_ID, delivery, micros, reading, refusal, source
from tests.webhooks.mailgun import EVENTS, KEY, body, event, failed
from tests.webhooks.signatures import mailgun_signature

SOURCE = source("mailgun", KEY)


async def test_takes_what_mailgun_has_signed() -> None:
    await PROVIDER.verify(delivery(body(event("delivered"))), SOURCE)


@pytest.mark.parametrize(
    "changed",
    [
        {"timestamp": str(NOW + 1)},
        {"token": "u" * 50},
        {"signature": "0" * 64},
        {"signature": ""},
        {"signature": "\u00e9"},
        {"signature": mailgun_signature("another key")["signature"]},
        # The border between what is put together counts for nothing: the same digits are the same signature.
        {"timestamp": f"{NOW}t", "token": "t" * 49},
    ],
    ids=str,
)
async def test_refuses_a_changed_signature(changed: dict[str, str]) -> None:
    given = delivery(body(event("delivered"), mailgun_signature(KEY) | changed))
    await refusal(PROVIDER, given, SOURCE)


@pytest.mark.parametrize(
    "given",
    [
        {"event-data": event("delivered")},
        {"signature": None},
        {"signature": {"timestamp": 5}},
        {"signature": {"timestamp": str(NOW), "token": "t"}},
        [],
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"signature":' * 50_000,
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_refuses_a_delivery_without_signature(given: Any) -> None:
    await refusal(PROVIDER, delivery(given), SOURCE)


async def test_refuses_an_old_signature_but_takes_the_last_attempt() -> None:
    for age in (FRESH_SECONDS + 1, -FRESH_SECONDS - 1):
        assert "old" in await refusal(PROVIDER, delivery(body(event("delivered")), now=NOW + age), SOURCE)
    # Mailgun tries for eight hours.
    await PROVIDER.verify(delivery(body(event("delivered")), now=NOW + 8.5 * 3600), SOURCE)


@pytest.mark.parametrize("timestamp", ["nan", "inf", "soon", ""])
async def test_refuses_a_signed_time_that_is_none(timestamp: str) -> None:
    signature = mailgun_signature(KEY) | {"timestamp": timestamp}
    await refusal(PROVIDER, delivery(body(event("delivered"), signature)), SOURCE)


async def test_a_subaccounts_event_is_also_signed_by_the_primary_account() -> None:
    signature = mailgun_signature("the subaccount's key")
    signature["parent-signature"] = mailgun_signature(KEY)["signature"]
    await PROVIDER.verify(delivery(body(event("delivered"), signature)), SOURCE)
    signature["parent-signature"] = "0" * 64
    await refusal(PROVIDER, delivery(body(event("delivered"), signature)), SOURCE)


def test_a_token_stands_for_one_event() -> None:
    assert PROVIDER.once is not None
    first = PROVIDER.once(delivery(body(event("delivered"))))
    data = dict(reversed(event("delivered").items()))
    again = json.dumps(body(data), indent=2).encode()
    assert PROVIDER.once(delivery(again)) == first
    other = PROVIDER.once(delivery(body(event("opened"))))
    assert other[0] == first[0]
    assert other[1] != first[1]


@pytest.mark.parametrize(
    ("kind", "expected"),
    EVENTS,
)
def test_every_event(kind: str, expected: EventType) -> None:
    found = reading(PROVIDER, body(event(kind)))
    assert (found.type, found.name) == (expected, kind)
    assert found.at == micros("2018-03-19T15:11:02.908181+00:00")
    assert (found.message, found.recipient) == (OUR_ID, "ada@mail.example")
    assert found.provider_message == "20260301.1@mg.shop.example"
    assert (found.from_address, found.subject) == ("Shop <news@shop.example>", "Hello")
    assert found.tags == ("welcome",)
    assert found.bounce is None


@pytest.mark.parametrize(
    ("given", "kind", "bounce", "reason"),
    [
        (failed("temporary", "generic", code=452, message="full"), EventType.DEFERRED, None, "generic 452 full"),
        (failed("temporary", "greylisted", code=451), EventType.DEFERRED, None, "greylisted 451"),
        (
            failed(
                "permanent", "bounce", code=550, **{"enhanced-code": "5.1.1"}, message="", description="no such user"
            ),
            EventType.BOUNCED,
            BounceType.HARD,
            "bounce 550 5.1.1 no such user",
        ),
        (failed("permanent", "generic", code=554), EventType.BOUNCED, BounceType.HARD, "generic 554"),
        (
            failed("permanent", "bounce", code=552, **{"bounce-type": "soft"}),
            EventType.BOUNCED,
            BounceType.SOFT,
            "bounce 552",
        ),
        (failed("permanent", "old", code=602), EventType.BOUNCED, BounceType.SOFT, "old 602"),
        (failed("temporary", "old", code=602), EventType.BOUNCED, BounceType.SOFT, "old 602"),
        (failed("permanent", "suppress-bounce", code=605), EventType.FAILED, None, "suppress-bounce 605"),
        (failed("permanent", "suppress-complaint", code=607), EventType.FAILED, None, "suppress-complaint 607"),
        (failed("permanent", "suppress-unsubscribe", code=606), EventType.FAILED, None, "suppress-unsubscribe 606"),
        (event("rejected", reject={"reason": "sandbox", "description": "d"}), EventType.FAILED, None, "sandbox d"),
    ],
    ids=str,
)
def test_failures_by_the_classes_of_mailgun(
    given: dict[str, Any], kind: EventType, bounce: BounceType | None, reason: str
) -> None:
    found = reading(PROVIDER, body(given))
    assert (found.type, found.bounce, found.reason) == (kind, bounce, reason)


def test_engagement_in_full() -> None:
    found = reading(
        PROVIDER,
        body(
            event(
                "clicked",
                url="https://shop.example/?a=1",
                ip="203.0.113.9",
                client_info={"user-agent": "Thunderbird", "bot": ""},
                template={"name": "welcome", "version": "1"},
                campaigns=[{"id": "spring", "name": "Spring"}],
            )
        ),
    )
    assert (found.url, found.ip, found.user_agent) == ("https://shop.example/?a=1", "203.0.113.9", "Thunderbird")
    assert (found.template, found.campaign) == ("welcome", "spring")


@pytest.mark.parametrize(
    ("to", "recipient"),
    [
        ("Ada <ada@mail.example>", "Ada <ada@mail.example>"),
        ("ada@mail.example, eve@mail.example", ""),
        (None, ""),
        (["ada@mail.example"], ""),
    ],
)
def test_rejected_mail_names_its_recipient_in_its_header(to: Any, recipient: str) -> None:
    told = event("rejected", recipient=None, message={"headers": {"message-id": "m", "to": to}})
    found = reading(PROVIDER, body(told))
    assert (found.type, found.recipient) == (EventType.FAILED, recipient)


def test_an_id_that_comes_again_another_day_is_another_event() -> None:
    first, second = event("opened"), event("opened", timestamp=1521558662.908181)
    assert reading(PROVIDER, body(first)).event_id != reading(PROVIDER, body(second)).event_id


@pytest.mark.parametrize("given", [b"", b"[]", b"{", b"5"])
def test_a_body_that_is_not_an_object(given: bytes) -> None:
    with pytest.raises(RequestError):
        PROVIDER.items(delivery(given))
