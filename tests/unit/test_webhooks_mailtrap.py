"""Mailtrap: JSON and JSON lines, the signature over the body, and what its events mean."""

import hashlib
import hmac
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.shared.errors import RequestError
from postmeter.shared.stream.events import BounceType, EventType
from postmeter.tracking.webhooks.providers.mailtrap import PROVIDER
from tests.webhooks.deliveries import OUR_ID, delivery, reading, readings, refusal, source
from tests.webhooks.mailtrap import AT, EVENTS, event

KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
SOURCE = source("mailtrap", KEY)


def signature(body: bytes, key: str = KEY) -> str:
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("name", "kind", "bounce"),
    EVENTS,
)
def test_every_event(name: str, kind: EventType, bounce: BounceType | None) -> None:
    found = reading(PROVIDER, {"events": [event(name)]})
    assert (found.type, found.name, found.bounce) == (kind, name, bounce)
    assert found.at == AT * 1_000_000
    assert found.event_id == "7c2d1a52-9f5c-4f3c-8a7e-0c6f7f3a9b11"
    assert (found.message, found.provider_message) == (OUR_ID, "c0ffee00-0000-4000-8000-000000000001")
    assert (found.recipient, found.tags) == ("reader@example.org", ("Invoice",))


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (
            event("bounce", response="[CS01] refused by policy", response_code=555, bounce_category="spam"),
            "555 [CS01] refused by policy spam",
        ),
        (event("soft bounce", response="4.7.1 try later", response_code=451), "451 4.7.1 try later"),
        (event("reject", reason="Recipient in suppression list."), "Recipient in suppression list."),
        (event("suspension", reason="The daily limit is reached."), "The daily limit is reached."),
        (event("delivery", response="250 OK", response_code=250), ""),
    ],
)
def test_a_reason_belongs_to_what_went_wrong(told: dict[str, Any], reason: str) -> None:
    assert reading(PROVIDER, {"events": [told]}).reason == reason


def test_a_click_tells_who_and_where() -> None:
    told = event("click", url="https://shop.example/?q=1", ip="2001:db8::7", user_agent="Mozilla/5.0 (X11)")
    found = reading(PROVIDER, {"events": [told]})
    assert (found.url, found.ip, found.user_agent) == ("https://shop.example/?q=1", "2001:db8::7", "Mozilla/5.0 (X11)")


@pytest.mark.parametrize("variables", [None, [], {}, "text", {"postmeter_id": [7]}])
def test_variables_and_category_may_be_absent(variables: Any) -> None:
    found = reading(PROVIDER, {"events": [event("open", custom_variables=variables, category=None)]})
    assert (found.message, found.tags) == ("", ())


def test_events_of_the_account_are_kept_whatever_their_form() -> None:
    found = reading(PROVIDER, {"events": [{"event": "audit.login", "timestamp": "today", "email": ["a@b.example"]}]})
    assert (found.type, found.name, found.provider_message) == (EventType.UNKNOWN, "audit.login", "")


@given(
    st.lists(st.sampled_from(["open", "click", "bounce", "teleport"]), min_size=1, max_size=8),
    st.sampled_from(["\n", "\r\n", "\n\n", "\n \n"]),
    st.booleans(),
)
def test_both_formats_say_the_same(names: list[str], newline: str, last: bool) -> None:
    told = [event(name, timestamp=AT + place) for place, name in enumerate(names)]
    lines = newline.join(json.dumps(one) for one in told) + (newline if last else "")
    assert readings(PROVIDER, lines.encode()) == readings(PROVIDER, {"events": told})


def test_one_bad_item_leaves_the_others() -> None:
    for body in (
        json.dumps({"events": [event("open"), "open", event("click")]}).encode(),
        b"\n".join([json.dumps(event("open")).encode(), b'{"event": "open"', json.dumps(event("click")).encode()]),
    ):
        items = PROVIDER.items(delivery(body))
        assert [PROVIDER.read(items[place])[0].name for place in (0, 2)] == ["open", "click"]
        with pytest.raises(msgspec.DecodeError):
            PROVIDER.read(items[1])


@pytest.mark.parametrize(
    "body",
    [b"", b" \n", b"no JSON", b"[1]", b'"text"', b"{}\nx", b"\xff\xfe", b"{}\n" * 10_001, b"{}\n" * 5_000_000],
    ids=lambda body: str(body[:12]),
)
def test_another_body_is_an_error_of_the_request(body: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        PROVIDER.items(delivery(body))
    assert caught.value.status == 400


def test_an_empty_batch_is_not_an_event() -> None:
    assert readings(PROVIDER, {"events": []}) == []


async def test_a_genuine_delivery_passes_with_the_bytes_as_they_are() -> None:
    for body in (b'{"events": [ ]}', b'{"events":[]}', b'{"a":1}\r\n{"a":2}\n', b"\xff"):
        await PROVIDER.verify(delivery(body, {"Mailtrap-Signature": signature(body)}), SOURCE)


async def test_a_forged_delivery_is_refused() -> None:
    body = b'{"events":[]}'
    for given_signature in (
        signature(body, "another key"),
        signature(body + b" "),
        signature(body)[:-1],
        "sha256=" + signature(body),
        "\xe9" * 64,
        "",
    ):
        await refusal(PROVIDER, delivery(body, {"Mailtrap-Signature": given_signature}), SOURCE)
    assert "Mailtrap-Signature" in await refusal(PROVIDER, delivery(body), SOURCE)
