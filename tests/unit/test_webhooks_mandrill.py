"""Mandrill: its form, its signature over URL and form, and what its events mean."""

import base64
import hashlib
import hmac
import json
import re
from typing import Any
from urllib.parse import urlencode

import pytest

from postmeter.shared.errors import RequestError
from postmeter.shared.stream.events import BounceType, EventType
from postmeter.tracking.webhooks.handler import read
from postmeter.tracking.webhooks.provider import ItemUnreadable
from postmeter.tracking.webhooks.providers.mandrill import PROVIDER
from tests.webhooks.deliveries import OUR_ID, delivery, reading, readings, refusal, source
from tests.webhooks.mandrill import AT, EVENTS, event, form

KEY = "mandrill-webhook-key"
SOURCE = source("mandrill", KEY)


def signature(body: dict[str, str], url: str, key: str = KEY) -> str:
    signed = url + "".join(name + body[name] for name in sorted(body))
    return base64.b64encode(hmac.new(key.encode(), signed.encode(), hashlib.sha1).digest()).decode()


def signed(fields: dict[str, str], raw: bytes | None = None, key: str = KEY, url: str | None = None) -> Any:
    body = urlencode(fields).encode() if raw is None else raw
    plain = delivery(body)
    return delivery(body, {"X-Mandrill-Signature": signature(fields, url or plain.url, key)})


@pytest.mark.parametrize(
    ("name", "kind", "bounce"),
    EVENTS,
)
def test_every_event(name: str, kind: EventType, bounce: BounceType | None) -> None:
    found = reading(PROVIDER, form([event(name)]))
    assert (found.type, found.name, found.bounce) == (kind, name, bounce)
    assert found.at == AT * 1_000_000
    assert (found.message, found.provider_message) == (OUR_ID, "0123456789abcdef0123456789abcdef")
    assert (found.recipient, found.from_address) == ("reader@example.org", "billing@sender.example")
    assert (found.subject, found.template, found.tags) == ("Your invoice", "invoice", ("invoice", "monthly"))
    assert found.event_id == ""  # Mandrill's _id is the message's


def test_a_click_tells_who_and_where() -> None:
    told = event("click", url="https://shop.example/?a=1&b=%C3%A9#x", ip="203.0.113.9", user_agent="Mozilla/5.0 (X11)")
    found = reading(PROVIDER, form([told]))
    assert (found.url, found.ip) == ("https://shop.example/?a=1&b=%C3%A9#x", "203.0.113.9")
    assert found.user_agent == "Mozilla/5.0 (X11)"


@pytest.mark.parametrize(
    ("name", "message", "reason"),
    [
        (
            "hard_bounce",
            {"bounce_description": "bad_mailbox", "diag": "550 5.1.1 no such user"},
            "bad_mailbox 550 5.1.1",
        ),
        ("soft_bounce", {"bounce_description": "mailbox_full", "diag": None}, "mailbox_full"),
        ("deferral", {"smtp_events": [{"type": "deferred", "diag": "451 4.3.5 try again"}]}, "451 4.3.5 try again"),
        ("reject", {"reject": {"reason": "hard-bounce"}}, "hard-bounce"),
        ("delivered", {"diag": "250 2.0.0 OK"}, ""),
        ("open", {"bounce_description": "of an earlier try"}, ""),
    ],
)
def test_a_reason_belongs_to_what_went_wrong(name: str, message: dict[str, Any], reason: str) -> None:
    found = reading(PROVIDER, form([event(name, message)])).reason
    assert found.startswith(reason)
    assert bool(found) is bool(reason)


def test_changes_of_the_deny_list_are_kept_as_no_event_of_a_message() -> None:
    change = {"type": "blacklist", "action": "add", "ts": AT, "reject": {"email": "gone@example.org", "reason": "spam"}}
    found = reading(PROVIDER, form([change]))
    assert (found.type, found.name) == (EventType.UNKNOWN, "blacklist")
    assert (found.provider_message, found.recipient) == ("", "gone@example.org")


@pytest.mark.parametrize("metadata", [None, [], {}, "text", {"postmeter_id": [7]}])
def test_metadata_may_be_anything(metadata: Any) -> None:
    assert reading(PROVIDER, form([event("open", {"metadata": metadata})])).message == ""


def test_an_empty_list_is_not_an_event() -> None:
    assert readings(PROVIDER, form([])) == []


async def test_a_genuine_delivery_passes() -> None:
    await PROVIDER.verify(signed({"mandrill_events": json.dumps([event("open")])}), SOURCE)


async def test_every_parameter_is_signed_in_the_order_of_names() -> None:
    fields = {"mandrill_events": "[]", "zulu": "last é+&=", "alpha": "first", "empty": ""}
    await PROVIDER.verify(signed(fields), SOURCE)
    backwards = urlencode(list(reversed(fields.items()))).encode()
    await PROVIDER.verify(signed(fields, backwards), SOURCE)


async def test_what_is_signed_are_the_values_whatever_their_encoding() -> None:
    fields = {"mandrill_events": json.dumps([event("open")], ensure_ascii=False)}
    upper = urlencode(fields).encode()
    lower = re.sub(rb"%[0-9A-F]{2}", lambda escape: escape[0].lower(), upper)
    assert lower != upper
    await PROVIDER.verify(signed(fields, upper), SOURCE)
    await PROVIDER.verify(signed(fields, lower), SOURCE)
    await refusal(PROVIDER, signed(fields, lower.replace(b"reader", b"writer")), SOURCE)


@pytest.mark.parametrize(
    "forged",
    [
        signed({"mandrill_events": "[]"}, key="another key"),
        signed({"mandrill_events": "[]"}, key="test-webhook"),
        signed({"mandrill_events": "[]"}, url="https://gateway.example/v1/webhooks/x/z"),
        signed({"mandrill_events": "[]"}, b"mandrill_events=%5B%5D+"),
        signed({"mandrill_events": "[]"}, b"mandrill_events=%5B%5D&more=1"),
        signed({"mandrill_events": "[]"}, b'{"no": "form"}'),
        signed({"mandrill_events": "[]"}, b"mandrill_events=\xff"),
        signed({"mandrill_events": "[]"}, b"mandrill_events=%ED%A0%80%FF%00"),
        signed({"mandrill_events": "[]"}, b"&".join(b"a%d=1" % number for number in range(1_000))),
        signed({"mandrill_events": "[]"}, b""),
        signed({"mandrill_events": "[]"} | {f"more{number}": "" for number in range(10)}),
        delivery(form([]), {"X-Mandrill-Signature": "é"}),
        delivery(form([]), {"X-Mandrill-Signature": " "}),
        delivery(form([])),
    ],
)
async def test_a_forged_delivery_is_refused(forged: Any) -> None:
    await refusal(PROVIDER, forged, SOURCE)


@pytest.mark.parametrize(
    "body",
    [b"other=1", form({"event": "open"}), form("text"), b"mandrill_events=%5B", b"mandrill_events="],
    ids=lambda body: str(body[:12]),
)
def test_another_body_is_an_error_of_the_request(body: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        PROVIDER.items(delivery(body))
    assert caught.value.status == 400


def test_one_bad_item_leaves_the_others() -> None:
    items = PROVIDER.items(delivery(form([event("open"), {"msg": {}}, event("click")])))
    assert [PROVIDER.read(items[place])[0].name for place in (0, 2)] == ["open", "click"]
    with pytest.raises(ItemUnreadable):
        read(PROVIDER, SOURCE, items[1], AT * 1_000_000)
