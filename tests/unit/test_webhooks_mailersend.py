"""MailerSend: both versions of its payloads, the signature over the body, the call that tries a URL out."""

import hashlib
import hmac
import json
from typing import Any

import pytest

from postmeter.shared.errors import RequestError
from postmeter.shared.stream.events import BounceType, EventType
from postmeter.tracking.webhooks.events import event_of
from postmeter.tracking.webhooks.handler import read
from postmeter.tracking.webhooks.provider import ItemUnreadable
from postmeter.tracking.webhooks.providers.mailersend import PROVIDER
from tests.webhooks.deliveries import NOW, OUR_ID, delivery, micros, raw, reading, readings, refusal, source
from tests.webhooks.mailersend import AT, EARLIER, EVENTS, Event, first, second

KEY = "signing-secret-of-the-console"
PUBLIC_KEY = "test_Am3L1GuOIc4blLUuHqAPxxwkZaJyEk8G"
SOURCE = source("mailersend", KEY)


def signed(body: object, key: str = KEY) -> Any:
    return delivery(body, {"Signature": hmac.new(key.encode(), raw(body), hashlib.sha256).hexdigest()})


@pytest.mark.parametrize("event", [first, second])
@pytest.mark.parametrize(
    ("name", "kind", "bounce"),
    EVENTS,
)
def test_every_event_in_both_versions(event: Event, name: str, kind: EventType, bounce: BounceType | None) -> None:
    found = reading(PROVIDER, event(name))
    assert (found.type, found.bounce, found.at) == (kind, bounce, micros(AT))
    assert (found.message, found.provider_message) == (OUR_ID, "6aa59d2fbf35297925087058")
    assert (found.recipient, found.subject, found.tags) == ("reader@example.org", "Your invoice", ("invoice",))
    if kind not in (EventType.OPENED, EventType.CLICKED):
        assert (found.name, found.event_id) == (name, "6aa59dad05e8ec525fe6ef95")
    if event is first:
        assert (found.from_address, found.template) == ("billing@sender.example", "0z76k5jg0o3yeg2d")


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (second("activity.hard_bounced", {"bounce_reason": "no host", "bounce_code": 550}), "550 no host"),
        (second("activity.suppressed", {"suppression_reason": "on_hold"}), "on_hold"),
        (second("activity.unsubscribed", {"unsubscribe_reason": "NO_LONGER_WANT"}), "NO_LONGER_WANT"),
        (second("activity.delivered", {"reason": "250 OK"}), ""),
        (first("activity.soft_bounced", {"object": "recipient_bounce", "reason": "mailbox full"}), "mailbox full"),
        (first("activity.hard_bounced", {"object": "recipient_bounce", "reason": None}), ""),
    ],
)
def test_a_reason_belongs_to_what_went_wrong(told: dict[str, Any], reason: str) -> None:
    assert reading(PROVIDER, told).reason == reason


def test_a_click_tells_who_and_where() -> None:
    more = {"ip": "203.0.113.9", "user_agent": "Mozilla/5.0 (X11)", "url": "https://shop.example/?q=1"}
    found = reading(PROVIDER, second("activity.clicked", more))
    assert (found.url, found.ip, found.user_agent) == (more["url"], more["ip"], more["user_agent"])
    older = {"object": "click", "id": "c1", "created_at": EARLIER, "ip": "203.0.113.9", "url": more["url"]}
    found = reading(PROVIDER, first("activity.clicked", older))
    assert (found.url, found.ip, found.at) == (more["url"], more["ip"], micros(EARLIER))


def key(told: dict[str, Any]) -> bytes:
    """Under what an event of MailerSend's is counted once."""
    item = raw(told)
    (found,) = PROVIDER.read(item)
    return event_of(found, item, 0, PROVIDER, SOURCE, NOW * 1_000_000).key


@pytest.mark.parametrize("event", [first, second])
def test_a_first_open_or_click_is_not_a_second_one(event: Event) -> None:
    more = {"ip": "203.0.113.9", "url": "https://shop.example/", "created_at": EARLIER}
    for name in ("activity.opened", "activity.clicked"):
        plain = event(name, more, id="one")
        assert key(plain) == key(event(f"{name}_unique", more, id="another"))
        other_link = event(name, {**more, "url": "https://shop.example/other"}, id="one")
        assert key(other_link) != key(plain)
    assert key(event("activity.opened", more)) != key(event("activity.clicked", more))


def test_what_happens_to_mail_is_known_by_the_id_of_the_event() -> None:
    assert key(second("activity.delivered")) == key(second("activity.delivered", subject="told again"))
    assert key(second("activity.delivered")) != key(second("activity.delivered", id="another"))


@pytest.mark.parametrize("empty", [None, [], {}, "text", 7])
def test_what_belongs_to_an_event_may_be_empty(empty: Any) -> None:
    assert reading(PROVIDER, second("activity.opened", empty)).user_agent == ""
    assert reading(PROVIDER, first("activity.opened", empty)).ip == ""


def test_events_of_the_account_are_kept_whatever_their_form() -> None:
    told = {"type": "recipient.on_hold_added", "created_at": "2026-09-12 18:45:01", "data": {"recipient": {"a": 1}}}
    found = reading(PROVIDER, told)
    assert (found.type, found.name, found.provider_message) == (EventType.UNKNOWN, "recipient.on_hold_added", "")
    found = reading(PROVIDER, {"type": "maintenance.start", "created_at": "2026-09-12 18:45:01"})
    assert (found.name, found.at) == ("maintenance.start", micros(AT))


@pytest.mark.parametrize(
    "told", [{}, {"type": "activity.opened", "data": 7}, {"type": None}, {"type": [], "data": {"message_id": "m"}}]
)
def test_what_cannot_be_read_is_refused_as_an_item(told: dict[str, Any]) -> None:
    (item,) = PROVIDER.items(delivery(told))
    with pytest.raises(ItemUnreadable):
        read(PROVIDER, SOURCE, item, NOW * 1_000_000)


@pytest.mark.parametrize(
    "body", [b"", b"no JSON", b"[]", b'"text"', b"\xff", b'{"a":' * 100_000], ids=lambda body: str(body[:12])
)
def test_another_body_is_an_error_of_the_request(body: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        PROVIDER.items(delivery(body))
    assert caught.value.status == 400


async def test_a_genuine_delivery_passes_with_the_bytes_as_they_are() -> None:
    for body in (second("activity.sent"), first("activity.sent"), b'{ "type" : "activity.sent" }\n'):
        await PROVIDER.verify(signed(body), SOURCE)


async def test_a_forged_delivery_is_refused() -> None:
    body = second("activity.sent")
    right = signed(body).headers["signature"]
    for given in ("0" * 64, right[:-1], f"sha256={right}", "\xe9", ""):
        await refusal(PROVIDER, delivery(body, {"Signature": given}), SOURCE)
    await refusal(PROVIDER, delivery(second("activity.sent", id="x"), {"Signature": right}), SOURCE)
    await refusal(PROVIDER, delivery(body, {"X-MailerSend-Signature": right}), SOURCE)
    assert "Signature" in await refusal(PROVIDER, delivery(body), SOURCE)


PING = {"type": "webhook.test", "message": "This is a ping", "created_at": AT}


async def test_a_url_may_be_tried_out_before_there_is_a_secret() -> None:
    await PROVIDER.verify(signed(PING, PUBLIC_KEY), SOURCE)
    await PROVIDER.verify(signed(PING), SOURCE)
    assert readings(PROVIDER, PING) == []


@pytest.mark.parametrize(
    "body",
    [
        second("activity.opened"),
        [PING],
        json.dumps(PING).encode() + b'{"type": "activity.opened"}',
        {"type": "webhook.tests"},
        {"data": PING},
        b"webhook.test",
    ],
)
async def test_the_public_secret_vouches_for_nothing_else(body: object) -> None:
    await refusal(PROVIDER, signed(body, PUBLIC_KEY), SOURCE)


def test_a_tried_url_stores_nothing_that_came_along() -> None:
    assert readings(PROVIDER, second("activity.opened") | {"type": "webhook.test"}) == []
