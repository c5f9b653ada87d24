"""Brevo: the password in the URL or as a token, and what its events mean."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.shared.errors import RequestError
from postmeter.shared.stream.events import BounceType, EventType
from postmeter.tracking.webhooks.events import event_of
from postmeter.tracking.webhooks.providers.brevo import PROVIDER
from tests.webhooks.brevo import AT, EVENTS, event
from tests.webhooks.deliveries import NOW, OUR_ID, delivery, raw, reading, readings, refusal, source
from tests.webhooks.signatures import basic

PASSWORD = "our password"
SOURCE = source("brevo", PASSWORD)


@pytest.mark.parametrize(
    ("name", "kind", "bounce"),
    EVENTS,
)
def test_every_event(name: str, kind: EventType, bounce: BounceType | None) -> None:
    found = reading(PROVIDER, event(name))
    assert (found.type, found.bounce) == (kind, bounce)
    assert found.name == ("opened" if kind is EventType.OPENED else name)
    assert found.at == AT * 1_000_000 + 456_000
    assert found.provider_message.strip("<>") == "202311142313.1234567@smtp-relay.mailin.fr"
    assert (found.recipient, found.from_address) == ("reader@example.org", "billing@sender.example")
    assert (found.subject, found.template, found.tags) == ("Your invoice", "22", ("invoice", "monthly"))


@pytest.mark.parametrize(
    ("times", "at"),
    [
        ({"ts_epoch": AT * 1000 + 7}, AT * 1_000_000 + 7_000),
        ({"ts_epoch": AT}, AT * 1_000_000),
        ({"ts_epoch": AT - 30, "ts_event": AT}, AT * 1_000_000),
        ({"ts_event": AT}, AT * 1_000_000),
        ({}, None),
    ],
)
def test_the_time_is_the_most_precise_one_in_utc(times: dict[str, int], at: int | None) -> None:
    told = {name: value for name, value in event("click").items() if name not in ("ts_epoch", "ts_event")}
    assert reading(PROVIDER, told | times).at == at


@pytest.mark.parametrize(
    ("carried", "tags"),
    [
        ({"X-Mailin-custom": f"postmeter_id:{OUR_ID}"}, ("invoice", "monthly")),
        ({"X-Mailin-custom": f"customer:7|postmeter_id: {OUR_ID}|x:y"}, ("invoice", "monthly")),
        ({"X-Mailin-custom": json.dumps({"postmeter_id": OUR_ID, "n": 1})}, ("invoice", "monthly")),
        ({"tags": ["invoice", f"postmeter_id:{OUR_ID}"]}, ("invoice",)),
        ({"tags": None, "tag": json.dumps(["invoice", f"postmeter_id:{OUR_ID}"])}, ("invoice",)),
        ({"tags": None, "tag": f"postmeter_id:{OUR_ID}"}, ()),
    ],
)
def test_our_id_travels_in_the_header_or_a_tag(carried: dict[str, Any], tags: tuple[str, ...]) -> None:
    found = reading(PROVIDER, event("opened", **carried))
    assert (found.message, found.tags) == (OUR_ID, tags)


@pytest.mark.parametrize("custom", [None, "", "text", "{", "[1]", '{"postmeter_id": [7]}', "a:b|c", '"postmeter_id:x"'])
def test_a_header_of_the_senders_own_is_not_an_id(custom: str | None) -> None:
    assert reading(PROVIDER, event("opened", **{"X-Mailin-custom": custom})).message == ""


@pytest.mark.parametrize("tags", [{"tags": None}, {"tags": 7}, {"tags": [7, "a"]}, {"tags": None, "tag": "[oops"}])
def test_tags_may_be_anything(tags: dict[str, Any]) -> None:
    assert reading(PROVIDER, event("opened", **tags)).tags in ((), ("7",), ("7", "a"), ("[oops",))


def test_a_click_tells_who_and_where() -> None:
    told = event("click", link="https://shop.example/?q=1#f", ip="203.0.113.9", user_agent="Mozilla/5.0 (X11)")
    found = reading(PROVIDER, told)
    assert (found.url, found.ip, found.user_agent) == (
        "https://shop.example/?q=1#f",
        "203.0.113.9",
        "Mozilla/5.0 (X11)",
    )


def test_a_reason_belongs_to_what_went_wrong() -> None:
    assert reading(PROVIDER, event("hard_bounce", reason="550 5.1.1 no such user")).reason == "550 5.1.1 no such user"
    assert reading(PROVIDER, event("delivered", reason="sent")).reason == ""


def key(told: dict[str, Any]) -> bytes:
    """Under what an event of Brevo's is counted once."""
    item = raw(told)
    (found,) = PROVIDER.read(item)
    return event_of(found, item, 0, PROVIDER, SOURCE, NOW * 1_000_000).key


def test_an_open_told_twice_by_brevo_counts_once() -> None:
    first = key(event("unique_opened"))
    assert first == key(event("opened", id=5)) == key(event("unique_opened"))
    others = [
        event("opened", ts_epoch=AT * 1000 + 457),
        event("opened", email="another@example.org"),
        event("opened", **{"message-id": "<another@relay>"}),
        event("click"),
    ]
    assert len({first, *map(key, others)}) == 5


def test_everything_else_is_known_by_its_bytes() -> None:
    assert key(event("click")) == key(event("click"))
    assert key(event("click", link="https://a.example")) != key(event("click", link="https://b.example"))


@given(st.lists(st.sampled_from(["opened", "click", "hard_bounce", "odd"]), max_size=8))
def test_a_batch_says_what_its_events_say(names: list[str]) -> None:
    told = [event(name, ts_event=AT + place) for place, name in enumerate(names)]
    assert readings(PROVIDER, told) == [reading(PROVIDER, one) for one in told]


def test_one_bad_item_leaves_the_others() -> None:
    items = PROVIDER.items(delivery([event("opened"), "opened", event("click")]))
    assert [PROVIDER.read(items[place])[0].name for place in (0, 2)] == ["opened", "click"]
    with pytest.raises(msgspec.DecodeError):
        PROVIDER.read(items[1])


@pytest.mark.parametrize(
    "body", [b"", b"no JSON", b'"text"', b"[1", b"7", b"[1," * 100_000], ids=lambda body: str(body[:12])
)
def test_another_body_is_an_error_of_the_request(body: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        PROVIDER.items(delivery(body))
    assert caught.value.status == 400


async def test_the_password_comes_from_the_url_or_as_a_token() -> None:
    for headers in (
        basic(PASSWORD),
        basic(PASSWORD, "anybody"),
        {"Authorization": f"Bearer {PASSWORD}"},
        {"Authorization": f"bearer {PASSWORD}"},
    ):
        await PROVIDER.verify(delivery(event("opened"), headers), SOURCE)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("another"),
        basic(""),
        basic("x", PASSWORD),
        {"Authorization": "Bearer another"},
        {"Authorization": "Bearer"},
        {"Authorization": PASSWORD},
        {"Authorization": f"Basic {PASSWORD}"},
        {"Authorization": "Basic \xff"},
        {"Authorization": f"Digest {PASSWORD}"},
    ],
)
async def test_without_the_password_nothing_is_taken(headers: dict[str, str]) -> None:
    await refusal(PROVIDER, delivery(event("opened"), headers), SOURCE)
