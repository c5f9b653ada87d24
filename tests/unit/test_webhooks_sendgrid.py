"""Twilio SendGrid's Event Webhook: its signature over the raw bytes, and what each event says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.shared.errors import RequestError
from postmeter.shared.stream.events import BounceType, EventType
from postmeter.tracking.webhooks.providers.sendgrid import FRESH_SECONDS, PROVIDER
from tests.webhooks.deliveries import NOW, OUR_ID, delivery, raw, reading, readings, refusal, source
from tests.webhooks.sendgrid import EVENTS, event
from tests.webhooks.signatures import SendGridSigner

SIGNER = SendGridSigner()
SOURCE = source("sendgrid", SIGNER.secret)


async def test_takes_what_sendgrid_has_signed() -> None:
    # The line's end is part of what is signed.
    body = raw([event("processed")]) + b"\r\n"
    await PROVIDER.verify(delivery(body, SIGNER.headers(body)), SOURCE)


@given(st.binary(max_size=200), st.integers(0, 10_000))
async def test_every_byte_is_signed(noise: bytes, place: int) -> None:
    body = raw([event("processed")])
    cut = place % (len(body) + 1)
    changed = body[:cut] + noise + body[cut:]
    given = delivery(changed, SIGNER.headers(body))
    if changed == body:
        await PROVIDER.verify(given, SOURCE)
    else:
        await refusal(PROVIDER, given, SOURCE)


@pytest.mark.parametrize("name", list(SIGNER.headers(b"")))
async def test_refuses_a_delivery_without_its_headers(name: str) -> None:
    body = raw([event("processed")])
    headers = SIGNER.headers(body)
    del headers[name]
    assert name in await refusal(PROVIDER, delivery(body, headers), SOURCE)


@pytest.mark.parametrize("signature", ["AAAA", "no base64!", "\u00e9", "MEUCIQ==" * 1000])
async def test_refuses_what_is_not_a_signature(signature: str) -> None:
    headers = SIGNER.headers(b"[]") | {"X-Twilio-Email-Event-Webhook-Signature": signature}
    await refusal(PROVIDER, delivery(b"[]", headers), SOURCE)


async def test_refuses_another_accounts_signature_and_another_time() -> None:
    body = raw([event("processed")])
    await refusal(PROVIDER, delivery(body, SendGridSigner().headers(body)), SOURCE)
    later = SIGNER.headers(body) | {"X-Twilio-Email-Event-Webhook-Timestamp": str(NOW + 1)}
    await refusal(PROVIDER, delivery(body, later), SOURCE)


async def test_refuses_an_old_delivery() -> None:
    body = raw([event("processed")])
    for age in (FRESH_SECONDS + 1, -FRESH_SECONDS - 1):
        given = delivery(body, SIGNER.headers(body), NOW + age)
        assert "old" in await refusal(PROVIDER, given, SOURCE)
    # SendGrid goes on trying for a day.
    await PROVIDER.verify(delivery(body, SIGNER.headers(body), NOW + 24 * 3600), SOURCE)


@pytest.mark.parametrize(
    "secret", ["", "no key", "QUJD", "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="]
)
async def test_a_secret_that_is_not_a_verification_key_is_named(secret: str) -> None:
    given = delivery(b"[]", SIGNER.headers(b"[]"))
    assert "verification key" in await refusal(PROVIDER, given, source("sendgrid", secret))


@pytest.mark.parametrize(
    ("kind", "expected"),
    EVENTS,
)
def test_every_event(kind: str, expected: EventType) -> None:
    found = reading(PROVIDER, [event(kind)])
    assert (found.type, found.name) == (expected, kind)
    assert found.at == (NOW - 5) * 1_000_000
    assert (found.event_id, found.message, found.recipient) == ("ZXZlbnQtMQ", OUR_ID, "ada@mail.example")
    assert found.provider_message == "14c5d75ce93"
    assert found.tags == ("welcome", "spring")
    assert (found.bounce is None) is (expected is not EventType.BOUNCED)


@pytest.mark.parametrize(
    ("kind", "bounce"),
    [("bounce", BounceType.HARD), ("blocked", BounceType.SOFT), ("expired", BounceType.SOFT), (None, BounceType.HARD)],
)
def test_a_block_is_soft(kind: str | None, bounce: BounceType) -> None:
    found = reading(PROVIDER, [event("bounce", type=kind, status="5.1.1", reason="550 no such user")])
    assert (found.bounce, found.reason) == (bounce, "5.1.1 550 no such user")


def test_reasons_and_engagement_in_full() -> None:
    dropped, deferred, click = readings(
        PROVIDER,
        [
            event("dropped", reason="Bounced Address", status="5.0.0"),
            event("deferred", response="451 try again", attempt="5"),
            event(
                "click",
                url="https://shop.example/?a=1",
                useragent="Thunderbird",
                ip="203.0.113.9",
                category="welcome",
                sg_template_id="d-1",
                singlesend_id=7,
            ),
        ],
    )
    assert dropped.reason == "5.0.0 Bounced Address"
    assert deferred.reason == "451 try again"
    assert (click.url, click.user_agent, click.ip) == ("https://shop.example/?a=1", "Thunderbird", "203.0.113.9")
    assert (click.tags, click.template, click.campaign) == (("welcome",), "d-1", "7")


@pytest.mark.parametrize(
    ("sg_message_id", "smtp_id", "expected"),
    [
        ("14c5d75ce93.filter0001.16648.5515E0B88.0", None, "14c5d75ce93"),
        ("14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0", "<a@shop.example>", "14c5d75ce93.dfd.64b469"),
        ("LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0", None, "LRzXl_NHStOGhQ4kofSm_A"),
        ("yW5utel5TYuIBREiXJi7aA.recvd-5f9ffdf494-9kc6l-1-673C6EB0-B.0", None, "yW5utel5TYuIBREiXJi7aA"),
        ("14c5d75ce93.dfd.64b469", None, "14c5d75ce93.dfd.64b469"),
        # Without the part before: two mails that one server handled must not become one.
        ("filter0042p1las1.9128.5A1F.0", "<abc_D-1@ismtpd0025p1las1.sendgrid.net>", "abc_D-1"),
        ("filter0042p1las1.9128.5A1F.0", "<14c5d75ce93.dfd.64b469@ismtpd-555>", "14c5d75ce93.dfd.64b469"),
        ("filter0042p1las1.9128.5A1F.0", "<a@shop.example>", "a@shop.example"),
        ("filter0042p1las1.9128.5A1F.0", None, ""),
        ("recvd-5f9ffdf494", "", ""),
        # A late bounce.
        (None, "<14c5d75ce93@ismtpd0039p1iad1.sendgrid.net>", "14c5d75ce93"),
        (None, "<a@shop.example>", ""),
        (None, None, ""),
    ],
)
def test_a_message_is_known_by_what_its_send_answer_says(
    sg_message_id: str | None, smtp_id: str | None, expected: str
) -> None:
    told = event("bounce", sg_message_id=sg_message_id) | {"smtp-id": smtp_id}
    assert reading(PROVIDER, [told]).provider_message == expected


def test_an_event_of_the_account_is_of_no_message() -> None:
    told = {"event": "account_status_change", "type": "compliance_suspend", "sg_event_id": "x", "timestamp": NOW}
    found = reading(PROVIDER, [told])
    assert (found.type, found.name) == (EventType.UNKNOWN, "account_status_change compliance_suspend")
    assert not found.provider_message


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b'[{"event":', b"[" * 100_000, b"\xff", b"[NaN]"])
def test_a_body_that_is_not_a_list(body: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        PROVIDER.items(delivery(body))
    assert caught.value.status == 400


def test_a_delivery_has_its_limit() -> None:
    with pytest.raises(RequestError) as caught:
        PROVIDER.items(delivery(b"[" + b"{}," * 10_000 + b"{}]"))
    assert (caught.value.status, caught.value.code) == (400, "TOO_MANY_ITEMS")
