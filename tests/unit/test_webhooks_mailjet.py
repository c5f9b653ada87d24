"""Mailjet: one event or many, the password in the URL, and what its events mean."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.shared.errors import RequestError
from postmeter.shared.stream.events import BounceType, EventType
from postmeter.tracking.webhooks.providers.mailjet import PROVIDER
from tests.webhooks.deliveries import OUR_ID, delivery, reading, readings, refusal, source
from tests.webhooks.mailjet import AT, event
from tests.webhooks.signatures import basic

PASSWORD = "our password"
SOURCE = source("mailjet", PASSWORD)


@pytest.mark.parametrize(
    ("told", "kind", "bounce"),
    [
        (event("sent", smtp_reply="sent (250 2.0.0 OK)"), EventType.DELIVERED, None),
        (event("open"), EventType.OPENED, None),
        (event("click"), EventType.CLICKED, None),
        (event("bounce", hard_bounce=True, error="user unknown"), EventType.BOUNCED, BounceType.HARD),
        (event("bounce", hard_bounce=False, error="quota exceeded"), EventType.BOUNCED, BounceType.SOFT),
        (event("bounce", hard_bounce=False, error="greylisted"), EventType.DEFERRED, None),
        (event("bounce", hard_bounce=True, error="greylisted"), EventType.BOUNCED, BounceType.HARD),
        (event("blocked", error="preblocked"), EventType.FAILED, None),
        (event("spam", source="JMRPP"), EventType.COMPLAINED, None),
        (event("unsub", mj_list_id=1), EventType.UNSUBSCRIBED, None),
        (event("typo"), EventType.UNKNOWN, None),
    ],
)
def test_every_event(told: dict[str, Any], kind: EventType, bounce: BounceType | None) -> None:
    found = reading(PROVIDER, told)
    assert (found.type, found.name, found.bounce) == (kind, told["event"], bounce)
    assert found.at == AT * 1_000_000
    assert (found.message, found.provider_message) == (OUR_ID, "576460752303424001")
    assert (found.recipient, found.campaign, found.event_id) == ("reader@example.org", "spring", "")


@pytest.mark.parametrize(
    ("carried", "message"),
    [
        ({"CustomID": f"postmeter_id:{OUR_ID}"}, OUR_ID),
        ({"CustomID": "order-7", "Payload": json.dumps({"postmeter_id": OUR_ID, "n": 1})}, OUR_ID),
        ({"CustomID": None, "Payload": None}, ""),
        ({"CustomID": "", "Payload": "{"}, ""),
        ({"CustomID": "", "Payload": "[1]"}, ""),
    ],
)
def test_our_id_travels_as_custom_id_or_in_the_payload(carried: dict[str, Any], message: str) -> None:
    assert reading(PROVIDER, event("open", **carried)).message == message


def test_what_went_wrong_is_told_in_the_servers_words_and_mailjets() -> None:
    told = event("bounce", comment="550 5.1.1 gone", error_related_to="recipient", error="user unknown")
    assert reading(PROVIDER, told).reason == "550 5.1.1 gone recipient user unknown"
    assert reading(PROVIDER, event("blocked", error_related_to="mailjet", error="preblocked")).reason == (
        "mailjet preblocked"
    )
    assert reading(PROVIDER, event("sent", comment="fine")).reason == ""


def test_a_click_tells_who_and_where() -> None:
    told = event("click", url="https://shop.example/?q=1", ip="203.0.113.9", agent="Mozilla/5.0 (X11)", geo="FR")
    found = reading(PROVIDER, told)
    assert (found.url, found.ip, found.user_agent) == ("https://shop.example/?q=1", "203.0.113.9", "Mozilla/5.0 (X11)")


def test_an_unknown_event_is_kept_whatever_its_form() -> None:
    assert reading(PROVIDER, {"event": "party", "time": "tonight", "email": ["all"]}).name == "party"


@given(st.lists(st.sampled_from(["open", "click", "bounce", "odd"]), max_size=8))
def test_a_group_says_what_its_events_say(names: list[str]) -> None:
    told = [event(name, time=AT + place) for place, name in enumerate(names)]
    assert readings(PROVIDER, told) == [reading(PROVIDER, one) for one in told]


def test_one_bad_item_leaves_the_others() -> None:
    items = PROVIDER.items(delivery([event("open"), ["open"], "open", event("click")]))
    assert [PROVIDER.read(items[place])[0].name for place in (0, 3)] == ["open", "click"]
    for place in (1, 2):
        with pytest.raises(msgspec.DecodeError):
            PROVIDER.read(items[place])


@pytest.mark.parametrize(
    "body",
    [b"", b"no JSON", b'"text"', b"[1", b"7", b"[" * 100_000, b"[0" + b",0" * 10_000 + b"]"],
    ids=lambda body: str(body[:12]),
)
def test_another_body_is_an_error_of_the_request(body: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        PROVIDER.items(delivery(body))
    assert caught.value.status == 400


async def test_the_password_of_the_url_passes() -> None:
    await PROVIDER.verify(delivery(event("open"), basic(PASSWORD)), SOURCE)


@pytest.mark.parametrize(
    "headers", [{}, basic("another"), basic("x", PASSWORD), {"Authorization": f"Bearer {PASSWORD}"}]
)
async def test_without_the_password_nothing_is_taken(headers: dict[str, str]) -> None:
    await refusal(PROVIDER, delivery(event("open"), headers), SOURCE)
