"""Whatever a verified delivery holds, each of its items becomes events that can be stored, or is put aside by name."""

import json
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from postmeter.aggregator.stream import checks
from postmeter.shared.errors import RequestError
from postmeter.shared.privacy import recipients
from postmeter.shared.stream.events import ADDRESSED, BounceType, EventType
from postmeter.shared.stream.records import Event, decode, encode, join
from postmeter.tracking.durable import outgoing
from postmeter.tracking.requests import fields
from postmeter.tracking.webhooks import events, items, moments
from postmeter.tracking.webhooks.handler import read
from postmeter.tracking.webhooks.provider import ItemUnreadable, Reading
from postmeter.tracking.webhooks.providers import PROVIDERS
from tests.webhooks import mailgun, postmark, resend, sendgrid, sparkpost
from tests.webhooks import ses as ses
from tests.webhooks.deliveries import NOW, OUR_ID, delivery, raw, source

RECEIVED = NOW * 1_000_000
ITEMS: dict[str, list[dict[str, Any]]] = {
    "mailgun": [mailgun.body(mailgun.failed("permanent", "bounce", code=550)), mailgun.body(mailgun.event("opened"))],
    "postmark": [postmark.bounce("HardBounce"), postmark.change(True, "ManualSuppression", "Recipient")],
    "resend": [resend.event("email.clicked", click={"link": "https://a.example/"}, bounce={"type": "Permanent"})],
    "sendgrid": [sendgrid.event("click", url="https://a.example/", ip="203.0.113.9", reason="no")],
    "ses": [
        ses.event("Bounce", ses.BOUNCE),
        ses.event("Click", {"link": "https://a.example/", "timestamp": ses.SENT_AT}),
    ],
    "sparkpost": [sparkpost.event("bounce", bounce_class="10"), sparkpost.event("open")],
}
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(
        ["\0", "\ud800", "<>", "<a@b>", "a@b@c", "@", "x" * 9000, "9" * 400, "1e400", "nan", OUR_ID, "=1+1"]
    )
    | st.just(10**400)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)

HOSTILE = [
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"timestamp":' + b"9" * 100_000 + b"}",
    b'{"timestamp":1e400}',
    b'{"timestamp":NaN}',
    b'{"timestamp":-Infinity}',
    b'[{"msys":{"a":{"timestamp":1e400}}}]',
    b'{"event-data":{"timestamp":1e400}}',
    b'{"event":"\xff"}',
    b'{"event":"\\ud800"}',
]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, child in inner for found in places(child, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    if not path:
        return by
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], by)
    return copy


@st.composite
def damaged(draw: st.DrawFn, slug: str) -> Any:
    """A genuine item of which up to three values are something else."""
    item: Any = draw(st.sampled_from(ITEMS[slug]))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(item)))
        item = replaced(item, path, draw(VALUES))
    return item


def taken(slug: str, item: bytes) -> list[Event]:
    """The events of an item; none of one that is put aside."""
    try:
        return read(PROVIDERS[slug], source(slug, "s"), item, RECEIVED)
    except ItemUnreadable:
        return []


@pytest.mark.parametrize("slug", sorted(ITEMS))
@given(st.data())
def test_a_damaged_item_is_read_or_put_aside(slug: str, data: st.DataObject) -> None:
    for event in taken(slug, json.dumps(data.draw(damaged(slug))).encode()):
        assert checks.fault(event) is None
        assert decode(join([encode(event)])) == [event]


@pytest.mark.parametrize("slug", sorted(ITEMS))
def test_a_genuine_item_is_read(slug: str) -> None:
    assert all(taken(slug, raw(item)) for item in ITEMS[slug])


def _is_object(item: bytes) -> bool:
    try:
        return isinstance(json.loads(item.decode("utf-8", "replace")), dict)
    except (ValueError, RecursionError):
        return False


@pytest.mark.parametrize("slug", sorted(ITEMS))
@given(st.binary(max_size=300) | st.sampled_from(HOSTILE))
def test_bytes_that_are_not_an_item_are_put_aside(slug: str, item: bytes) -> None:
    assume(not _is_object(item))  # a few bytes may be an event of an unknown type
    assert taken(slug, item) == []


@pytest.mark.parametrize("slug", sorted(ITEMS))
@given(st.data())
def test_a_damaged_body_has_items_or_a_clear_answer(slug: str, data: st.DataObject) -> None:
    body = raw(data.draw(damaged(slug) | st.lists(damaged(slug), max_size=3) | st.binary(max_size=50)))
    try:
        found = PROVIDERS[slug].items(delivery(body, {"x-amz-sns-rawdelivery": "true"}))
    except RequestError as error:
        status, found = error.status, []
    else:
        status = 200
    assert status in (200, 400)
    assert all(isinstance(item, bytes) for item in found)


@contextmanager
def memory(limit: int) -> Iterator[None]:
    """Fails if the block needs more bytes at any time."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < limit


@pytest.mark.parametrize("body", [b"[" + b"1," * 5_000_000 + b"1]", b"[" + b"{}," * 10_000 + b"{}]"])
def test_a_list_has_its_limit(body: bytes) -> None:
    with memory(10_000_000), pytest.raises(RequestError) as caught:
        items.of_list(body)
    assert (caught.value.status, caught.value.code) == (400, "TOO_MANY_ITEMS")


def test_an_object_of_a_million_keys_is_an_item() -> None:
    body = b"{" + b",".join(b'"%x":0' % number for number in range(1_000_000)) + b"}"
    with memory(1_000_000):
        assert items.of_object(body) == [body]


def the_event(**changes: Any) -> Event:
    given: dict[str, Any] = {"type": EventType.OPENED, "name": "open", "message": OUR_ID, "event_id": "e1"}
    return events.event_of(
        Reading(**given | changes), b"{}", 0, PROVIDERS["sendgrid"], source("sendgrid", "s"), RECEIVED
    )


def test_repetitions_share_a_key_and_different_events_do_not() -> None:
    keys = [
        the_event().key,
        the_event(name="click").key,
        the_event(event_id="e2").key,
        the_event(recipient="a@b.example").key,
    ]
    assert len(set(keys)) == 4
    assert the_event(reason="told anew").key == keys[0]


def test_without_an_id_the_bytes_stand_for_the_event() -> None:
    def key(item: bytes, place: int) -> bytes:
        reading = Reading(type=EventType.SENT, name="sent", provider_message="m")
        provider = PROVIDERS["ses"]
        return events.event_of(reading, item, place, provider, source("ses", "s"), RECEIVED).key

    assert key(b"a", 0) == key(b"a", 0)
    assert len({key(b"a", 0), key(b"a", 1), key(b"b", 0)}) == 3


@given(st.integers(-(2**50), 2**50))
def test_a_time_out_of_range_counts_when_it_was_received(off: int) -> None:
    at = RECEIVED + off
    found = the_event(at=at)
    if -731 * 86_400_000_000 <= off <= 3_600_000_000:
        assert (found.at, found.claimed) == (at, None)
    else:
        assert (found.at, found.claimed) == (RECEIVED, at)


def test_a_reading_that_names_no_message() -> None:
    with pytest.raises(ItemUnreadable, match="names no message"):
        the_event(message="no id of ours")
    kept = the_event(message="", type=EventType.UNKNOWN, name="account_status_change")
    assert (kept.message, kept.reason) == (b"", "account_status_change")
    with pytest.raises(ItemUnreadable, match="what happened"):
        the_event(name="", type=EventType.UNKNOWN)


@pytest.mark.parametrize("kind", EventType)
def test_a_late_report_may_name_its_recipient_alone(kind: EventType) -> None:
    def told(recipient: str) -> Event:
        return the_event(type=kind, bounce=BounceType.HARD, message="", recipient=recipient)

    if kind is EventType.UNKNOWN:
        assert told("").message == b""
    elif kind in ADDRESSED:
        found = told("Ada <ADA@mail.example>")
        assert found.mail is not None
        assert (found.message, found.provider_message) == (b"", "")
        assert found.mail.to_hash == recipients.hash_of("ada@mail.example")
        assert checks.fault(found) is None
        for nobody in ("", "postmaster", "<>"):
            with pytest.raises(ItemUnreadable, match="neither a message nor a recipient"):
                told(nobody)
    else:
        with pytest.raises(ItemUnreadable, match="names no message"):
            told("ada@mail.example")


def test_tags_keep_their_order_each_once() -> None:
    found = the_event(tags=("welcome", "b", "a", "b"))
    assert found.mail is not None
    assert found.mail.tags == ["welcome", "b", "a"]


def test_hostile_texts_are_cut_and_cleaned() -> None:
    found = the_event(
        user_agent="\u00e9" * 10_000,
        url="https://a.example/\0" + "x" * 10_000,
        reason="<script>" * 1000,
        tags=("a" * 500, "\ud800", "", *(f"t{n}" for n in range(100))),
        subject="\0" * 5000,
        campaign="\U0001f4a9" * 300,
        recipient="Ada <ADA@Mail.Example>",
        from_address="not an address",
        ip="203.0.113.300",
    )
    assert found.mail is not None
    assert len(found.user_agent) == 512
    assert (len(found.url), len(found.reason), len(found.mail.subject)) == (8192, events.REASON_CHARS, 2000)
    assert "\0" not in found.url + found.mail.subject
    assert len(found.mail.campaign.encode()) <= 400
    assert len(found.mail.tags) <= fields.MAX_LABELS
    assert found.mail.to_hash == recipients.hash_of("ada@mail.example")
    assert (found.mail.to_domain, found.ip) == ("mail.example", "")
    assert checks.fault(found) is None


@pytest.mark.parametrize("text", ["<abc@x.example>", "abc@x.example", " <abc@x.example> "])
def test_a_providers_id_is_the_same_with_and_without_brackets(text: str) -> None:
    assert the_event(provider_message=text).provider_message == "abc@x.example"
    assert fields.bare_id(text) == "abc@x.example"


def test_bounces_keep_their_class() -> None:
    assert the_event(type=EventType.BOUNCED, bounce=BounceType.SOFT).bounce == BounceType.SOFT


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(st.integers(0, 4_102_444_800_000_000))
def test_times_keep_their_precision(micros: int) -> None:
    moment = EPOCH + timedelta(microseconds=micros)
    assert moments.of(moment.isoformat()) == micros
    assert moments.of(moment.replace(tzinfo=None).isoformat()) == micros
    assert moments.of(f" {micros // 1_000_000}.{micros % 1_000_000:06} ") == micros
    assert moments.of(str(micros / 1_000_000)) == micros
    if micros >= 2 * 10**14:  # of before 1973 they could be seconds
        assert moments.of(str(micros // 1000)) == micros // 1000 * 1000


@pytest.mark.parametrize(
    "value",
    [
        "nan",
        "inf",
        "-1",
        "1e400",
        "soon",
        "9" * 40,
        "2026-02-30",
        "2026-01-01T25:00:00Z",
        "\0",
        "0001-01-01T00:00:00+23:00",
    ],
)
def test_what_is_not_a_time_is_kept_as_it_is(value: str) -> None:
    assert moments.of(value) == value
    found = the_event(at=moments.of(value), reason="gone")
    assert (found.at, found.claimed) == (RECEIVED, None)
    assert found.reason == f"gone (told time: {value})".replace("\0", "\ufffd")


def test_a_long_text_is_not_a_time_and_is_cut() -> None:
    assert moments.of("9" * 100_000) == "9" * 41


def test_a_time_that_is_not_told() -> None:
    assert moments.of("") is None
    assert moments.of("  ") is None


@pytest.mark.parametrize("at", [None, "yesterday"])
def test_no_reason_is_cut_within_an_address(at: moments.At) -> None:
    """Half of one would not be known for one, and would be stored."""
    for before in (*range(870, 905), *range(970, 1005)):
        found = the_event(at=at, reason="x" * before + " ada.lovelace@mail.example: unknown")
        (stored,) = decode(join([outgoing.event(found)]))
        assert isinstance(stored, Event)
        assert "ada" not in stored.reason
        assert len(stored.reason) <= outgoing.REASON_CHARS
