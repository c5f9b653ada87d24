"""An item that is bad, or odd, costs neither the other items of its delivery nor the memory of the service."""

import hashlib
import hmac
import json
import sys
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.shared.errors import RequestError
from postmeter.shared.stream.records import Event
from postmeter.tracking.webhooks import events, items, lenient_json
from postmeter.tracking.webhooks.handler import read
from postmeter.tracking.webhooks.provider import ItemUnreadable
from postmeter.tracking.webhooks.providers import PROVIDERS, mailersend
from postmeter.tracking.webhooks.providers.ses_events import MAX_RECIPIENTS
from tests.webhooks import brevo, mailgun, resend, sendgrid, sparkpost
from tests.webhooks import ses as ses
from tests.webhooks.deliveries import NOW, delivery, source

RECEIVED = NOW * 1_000_000
MARK = "@mark@"
# What a reader's browser may send, as it stands in a provider's JSON, and what is kept of it.
NO_TEXT = {
    rb"\ud83d": "\ufffd",
    rb"\ude00": "\ufffd",
    rb"\ude00\ud83d": "\ufffd\ufffd",
    rb"\ud83d\ud83d\ude00": "\ufffd\U0001f600",
    b"\xff\xfe": "\ufffd\ufffd",
    rb"\\ud83d": r"\ud83d",
    rb"\ud83d\ude00": "\U0001f600",
}
DELIVERIES: dict[str, Any] = {
    "sendgrid": [sendgrid.event("open", useragent=MARK), sendgrid.event("open", useragent="Good")],
    "sparkpost": [sparkpost.event("open", user_agent=MARK), sparkpost.event("open", user_agent="Good")],
    "brevo": [brevo.event("opened", user_agent=MARK), brevo.event("opened", user_agent="Good")],
    "mailtrap": {
        "events": [
            {"event": "open", "message_id": "m", "user_agent": MARK},
            {"event": "open", "message_id": "m", "user_agent": "Good"},
        ]
    },
    "resend": resend.event("email.opened", open={"userAgent": MARK}),
    "mailgun": mailgun.body(mailgun.event("opened", **{"client-info": {"user-agent": MARK}})),
}


def taken(slug: str, body: bytes) -> list[Event]:
    provider, of = PROVIDERS[slug], source(slug, "a secret")
    return [event for item in provider.items(delivery(body)) for event in read(provider, of, item, RECEIVED)]


@pytest.mark.parametrize("slug", DELIVERIES)
@pytest.mark.parametrize(("written", "kept"), NO_TEXT.items(), ids=repr)
def test_what_is_not_text_is_replaced_and_all_items_count(slug: str, written: bytes, kept: str) -> None:
    given = DELIVERIES[slug]
    found = taken(slug, json.dumps(given).encode().replace(MARK.encode(), written))
    assert [event.user_agent.decode() for event in found] == [kept, "Good"][: len(found)]
    assert len(found) == (2 if "Good" in json.dumps(given) else 1)


async def test_a_delivery_of_mailgun_is_verified_whatever_its_event_holds() -> None:
    body = json.dumps(DELIVERIES["mailgun"]).encode().replace(MARK.encode(), rb"\ud83d")
    provider = PROVIDERS["mailgun"]
    await provider.verify(delivery(body), source("mailgun", mailgun.KEY))
    assert provider.once is not None
    token, content = provider.once(delivery(body))
    assert token
    assert b"opened" in content


@given(st.lists(st.sampled_from([*NO_TEXT, b"a", rb"\n", rb"\u00e9", b'"', b"\\"])))
def test_mending_changes_nothing_that_is_json(pieces: list[bytes]) -> None:
    body = b'"' + b"".join(pieces) + b'"'
    try:
        text = json.loads(body)
        text.encode()
    except (ValueError, UnicodeError):
        return
    assert items.mended(body) == body


def test_mending_is_bounded() -> None:
    # Of megabytes: one that took squared time would not end.
    whole = items.mended(rb'"' + rb"\n\u00e9\\ud83d" * 500_000 + rb'\ud83d"')
    assert whole.endswith(rb'\ufffd"')
    assert items.mended(rb"\ud83d" * 1_000_000).count(rb"\ufffd") == items.MOST_MENDED


@pytest.mark.parametrize("value", [10**30, 10**400, 1e308], ids=repr)
def test_an_absurd_time_counts_when_it_was_received(value: float) -> None:
    (found,) = taken("brevo", json.dumps(brevo.event("delivered", ts_epoch=value, ts_event=value)).encode())
    assert (found.at, found.claimed) == (RECEIVED, None)
    assert found.reason.startswith(f"(told time: {json.dumps(value)[:20]}")


def test_a_fault_of_ours_costs_one_item(monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(_: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setattr("postmeter.tracking.webhooks.moments.of", fault)
    with pytest.raises(ItemUnreadable, match="ZeroDivisionError"):
        taken("sendgrid", json.dumps([sendgrid.event("open")]).encode())


def test_an_event_tells_of_so_many_recipients() -> None:
    def bounce(n: int) -> bytes:
        details = ses.BOUNCE | {"bouncedRecipients": [{"emailAddress": f"r{one}@mail.example"} for one in range(n)]}
        return json.dumps(ses.event("Bounce", details)).encode()

    provider, of = PROVIDERS["ses"], source("ses", "a secret")
    assert len(read(provider, of, bounce(MAX_RECIPIENTS), RECEIVED)) == MAX_RECIPIENTS
    with pytest.raises(ItemUnreadable, match="recipients"):
        read(provider, of, bounce(MAX_RECIPIENTS + 1), RECEIVED)


def test_what_an_event_tells_of_all_its_recipients_is_read_once() -> None:
    """Its size and its recipients add up and do not multiply: in steps, and in what is kept of its texts."""

    def steps(recipients: int, size: int) -> int:
        """Calls of functions that an event takes with so much beside its recipients."""
        beside = {"headers": [{"name": "x", "value": "y"}] * size, "tags": {f"t{n}": ["v"] for n in range(size)}}
        named = [{"emailAddress": f"r{one}@mail.example"} for one in range(recipients)]
        details = ses.BOUNCE | {"bouncedRecipients": named, "reason": "r" * 10 * size, "bounceSubType": "s" * 10 * size}
        item = json.dumps(ses.event("Bounce", details, mail=ses.mail(**beside))).encode()
        calls = 0

        def count(_: object, what: str, __: object) -> None:
            nonlocal calls
            calls += what in ("call", "c_call")

        sys.setprofile(count)
        try:
            read(PROVIDERS["ses"], source("ses", "a secret"), item, RECEIVED)
        finally:
            sys.setprofile(None)
        assert all(len(one.reason) < 3 * events.REASON_CHARS for one in PROVIDERS["ses"].read(item))
        return calls

    assert steps(MAX_RECIPIENTS, 2000) < 2 * (steps(MAX_RECIPIENTS, 1) + steps(1, 2000))


def test_an_item_is_of_so_many_bytes() -> None:
    provider, of = PROVIDERS["postmark"], source("postmark", "a secret")
    head, tail = b'{"RecordType": "Delivery", "MessageID": "m", "Subject": "', b'"}'
    fill = items.ITEM_BYTES - len(head + tail)
    assert len(read(provider, of, head + b"x" * fill + tail, RECEIVED)) == 1
    with pytest.raises(ItemUnreadable, match="bytes"):
        read(provider, of, head + b"x" * (fill + 1) + tail, RECEIVED)


@pytest.mark.parametrize("slug", sorted(PROVIDERS))
async def test_what_nobody_has_signed_is_not_read_in_full(slug: str) -> None:
    """Whoever knows a source's URL may send such bodies: to verify them takes no more memory than they have bytes."""
    many = b",".join(b'"%d":1' % number for number in range(200_000))
    for body in (b'{"signature":{%b}}' % many, b'{%b,"signature":1}' % many, b"mandrill_events={%b}" % many):
        signs = ("X-Mandrill-Signature", "Mailtrap-Signature", "svix-id", "svix-timestamp", "svix-signature")
        headers = dict.fromkeys((*signs, "X-Twilio-Email-Event-Webhook-Timestamp"), "1")
        headers["Signature"] = hmac.new(mailersend._PING_SECRET, body, hashlib.sha256).hexdigest()
        tracemalloc.start()
        with pytest.raises(RequestError):
            await PROVIDERS[slug].verify(delivery(body, headers), source(slug, "whsec_c2VjcmV0"))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 3 * len(body)


def test_of_a_long_list_the_first_are_looked_at() -> None:
    """An item may have half a million, and no hit is answered meanwhile."""
    item = b'{"tags":[%s1],"many":[%s{}],"object":{%s}}'
    names = b",".join(b'"%d":1' % number for number in range(lenient_json.MOST + 5))
    item %= (b"1," * lenient_json.MOST, b'{"a":1},' * lenient_json.MOST, names)
    found = lenient_json.item_of(item)
    assert (
        len(found.texts("tags"))
        == len(found.objects("many"))
        == len(found.object("object").names())
        == lenient_json.MOST
    )


def test_half_a_list_is_none() -> None:
    for body in (b'[{"event": "open"}', b'[{"event": "\\ud83d"}', b'["\\ud83d'):
        with pytest.raises(RequestError):
            items.of_list(body)
