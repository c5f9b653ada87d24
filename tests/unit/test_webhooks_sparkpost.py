"""SparkPost: batches of msys objects, basic authentication, and what each event says."""

from typing import Any

import pytest

from postmeter.shared.errors import RequestError
from postmeter.shared.stream.events import BounceType, EventType
from postmeter.tracking.webhooks.provider import ItemUnreadable, Reading
from postmeter.tracking.webhooks.providers.sparkpost import PROVIDER
from tests.webhooks.deliveries import NOW, OUR_ID, delivery, raw, reading, readings, refusal, source
from tests.webhooks.signatures import basic
from tests.webhooks.sparkpost import EVENTS, event

SOURCE = source("sparkpost", "made by us")


async def test_takes_the_password_only() -> None:
    await PROVIDER.verify(delivery([], basic("made by us")), SOURCE)
    for headers in ({}, basic("another"), {"X-MessageSystems-Batch-ID": "1"}):
        await refusal(PROVIDER, delivery([], headers), SOURCE)


@pytest.mark.parametrize(
    ("kind", "envelope", "expected"),
    EVENTS,
)
def test_every_event(kind: str, envelope: str, expected: EventType) -> None:
    found = reading(PROVIDER, [event(kind, envelope)])
    assert (found.type, found.name) == (expected, kind)
    assert found.at == (NOW - 5) * 1_000_000
    assert (found.event_id, found.message) == ("92356927693813856", OUR_ID)
    assert (found.recipient, found.provider_message) == ("Ada@mail.example", "000443ee14578172be22")
    assert (found.from_address, found.subject) == ("news@shop.example", "Hello")
    assert (found.campaign, found.template, found.tags) == ("spring", "welcome-1", ("welcome",))
    # The address of the host that mail went to is not a reader's.
    assert bool(found.ip) is (expected in (EventType.OPENED, EventType.CLICKED, EventType.UNSUBSCRIBED))


HARD, SOFT = BounceType.HARD, BounceType.SOFT


@pytest.mark.parametrize("kind", ["bounce", "out_of_band"])
@pytest.mark.parametrize("as_text", [True, False])
@pytest.mark.parametrize(
    ("number", "expected", "how"),
    [(n, EventType.BOUNCED, HARD) for n in (10, 30)]
    + [(n, EventType.BOUNCED, SOFT) for n in (1, 20, 21, 22, 23, 24, 40, 50, 51, 52, 53, 54, 60, 70, 80, 100)]
    + [(25, EventType.FAILED, None), (26, EventType.FAILED, None)]
    + [(90, EventType.UNSUBSCRIBED, None)],
)
def test_every_class_of_bounce(
    kind: str, as_text: bool, number: int, expected: EventType, how: BounceType | None
) -> None:
    bounce_class = str(number) if as_text else number
    found = reading(PROVIDER, [event(kind, bounce_class=bounce_class, raw_reason="550 no", reason="550")])
    assert (found.type, found.bounce, found.reason) == (expected, how, f"{number} 550 no")


def test_a_bounce_class_says_nothing_about_other_events() -> None:
    assert reading(PROVIDER, [event("delivery", bounce_class="25")]).type is EventType.DELIVERED


@pytest.mark.parametrize("kind", ["generation_failure", "generation_rejection"])
def test_mail_that_was_never_made_is_known_by_its_transmission_and_recipient(kind: str) -> None:
    def found(**more: Any) -> Reading:
        return reading(PROVIDER, [event(kind, "gen_event", message_id=None, rcpt_meta={}, **more)])

    first = found(reason="no such template")
    assert (first.type, first.reason) == (EventType.FAILED, "no such template")
    assert first.provider_message.startswith("65832150921904138.")
    assert "@" not in first.provider_message
    assert found(raw_rcpt_to=" ADA@mail.example").provider_message == first.provider_message
    written = found(raw_rcpt_to="ada@b\u00fccher.example").provider_message
    assert found(raw_rcpt_to="ada@xn--bcher-kva.example").provider_message == written
    others = [found(raw_rcpt_to="eve@mail.example"), found(transmission_id="1"), found(transmission_id=None)]
    assert len({first.provider_message, *(other.provider_message for other in others)}) == 4


def test_only_mail_that_was_never_made_is_named_by_its_transmission() -> None:
    assert reading(PROVIDER, [event("bounce", message_id=None)]).provider_message == ""


def test_engagement_in_full() -> None:
    found = reading(
        PROVIDER,
        [event("click", "track_event", target_link_url="https://shop.example/?a=1", user_agent="Thunderbird")],
    )
    assert (found.url, found.user_agent, found.ip) == ("https://shop.example/?a=1", "Thunderbird", "203.0.113.9")


def test_times_as_numbers_and_as_text() -> None:
    for timestamp in (NOW, str(NOW), "2026-09-21T14:13:20.000Z"):
        assert reading(PROVIDER, [event("open", timestamp=timestamp)]).at == NOW * 1_000_000


@pytest.mark.parametrize("body", [b'[{"msys":{}}]', b'[ { "msys" : { } } ]', b"[]"])
def test_the_batch_that_tries_a_webhook_out_holds_nothing(body: bytes) -> None:
    assert PROVIDER.items(delivery(body)) == []


def test_one_bad_item_of_a_batch() -> None:
    items = PROVIDER.items(delivery([event("delivery"), {"msys": {"a": {}, "b": {}}}, event("open")]))
    assert len(items) == 3
    with pytest.raises(ItemUnreadable):
        PROVIDER.read(items[1])
    assert [PROVIDER.read(items[n])[0].type for n in (0, 2)] == [EventType.DELIVERED, EventType.OPENED]


def test_events_of_no_message() -> None:
    found = reading(PROVIDER, [event("ab_test_completed", "ab_test_event", rcpt_meta=None, message_id="x")])
    assert (found.type, found.message, found.provider_message) == (EventType.UNKNOWN, "", "")


@pytest.mark.parametrize("meta", [None, [], "", {"postmeter_id": None}, {"other": 1}])
def test_metadata_without_our_id(meta: Any) -> None:
    assert reading(PROVIDER, [event("open", rcpt_meta=meta)]).message == ""


@pytest.mark.parametrize("body", [b"", b"{}", b'{"msys": {}}', b"[" * 100_000, raw("text")])
def test_a_body_that_is_not_a_list(body: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        readings(PROVIDER, body)
    assert caught.value.status == 400
