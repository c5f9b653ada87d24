"""Resend: Standard Webhooks over the raw bytes, and what each event says."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.shared.stream.events import BounceType, EventType
from postmeter.tracking.webhooks.providers.resend import PROVIDER
from tests.webhooks.deliveries import NOW, OUR_ID, delivery, micros, raw, reading, refusal, source
from tests.webhooks.resend import EVENTS, SECRET, event
from tests.webhooks.signatures import svix_headers

SOURCE = source("resend", SECRET)


async def test_the_example_of_the_specification() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = {
        "svix-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "svix-timestamp": "1614265330",
        "svix-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    given = delivery(b'{"test": 2432232314}', headers, now=1614265330)
    await PROVIDER.verify(given, source("resend", secret))


@given(st.binary(max_size=100), st.integers(0, 10_000))
async def test_every_byte_is_signed(noise: bytes, place: int) -> None:
    body = raw(event("email.sent"))
    cut = place % (len(body) + 1)
    changed = body[:cut] + noise + body[cut:]
    given = delivery(changed, svix_headers(SECRET, body))
    if changed == body:
        await PROVIDER.verify(given, SOURCE)
    else:
        await refusal(PROVIDER, given, SOURCE)


async def test_takes_any_of_several_signatures() -> None:
    body = raw(event("email.sent"))
    good = svix_headers(SECRET, body)
    other = svix_headers("whsec_" + base64.b64encode(b"another").decode(), body)["svix-signature"]
    several = f"{other} v2,abc v1a,def {good['svix-signature']}"
    await PROVIDER.verify(delivery(body, good | {"svix-signature": several}), SOURCE)


@pytest.mark.parametrize("name", ["svix-id", "svix-timestamp", "svix-signature"])
async def test_each_header_is_needed_and_signed(name: str) -> None:
    body = raw(event("email.sent"))
    headers = svix_headers(SECRET, body)
    missing = {key: value for key, value in headers.items() if key != name}
    assert name in await refusal(PROVIDER, delivery(body, missing), SOURCE)
    for changed in ("", "another", str(NOW + 1)):
        await refusal(PROVIDER, delivery(body, headers | {name: changed}), SOURCE)


@pytest.mark.parametrize("how", ["v2,{}", "{}", "v1{}", "v1,", "v1,{}x", "v1 {}", "1,{}", ",{}", "\u00e9,{}"])
async def test_refuses_other_versions_and_shapes(how: str) -> None:
    body = raw(event("email.sent"))
    headers = svix_headers(SECRET, body)
    digest = headers["svix-signature"].removeprefix("v1,")
    await refusal(PROVIDER, delivery(body, headers | {"svix-signature": how.format(digest)}), SOURCE)


@pytest.mark.parametrize("age", [-301, 301, 86_400])
async def test_refuses_an_old_delivery(age: int) -> None:
    body = raw(event("email.sent"))
    assert "old" in await refusal(PROVIDER, delivery(body, svix_headers(SECRET, body), NOW + age), SOURCE)


@pytest.mark.parametrize("secret", ["whsec_!!!", "whsec_\u00e9", "no base64"])
async def test_a_secret_that_is_none_is_named(secret: str) -> None:
    body = raw(event("email.sent"))
    given = delivery(body, svix_headers(SECRET, body))
    assert "secret" in await refusal(PROVIDER, given, source("resend", secret))


@pytest.mark.parametrize(
    ("kind", "expected"),
    EVENTS,
)
def test_every_event(kind: str, expected: EventType) -> None:
    found = reading(PROVIDER, event(kind))
    assert (found.type, found.name) == (expected, kind)
    assert found.at == micros("2026-03-01T10:00:00.126+00:00")
    assert (found.message, found.recipient) == (OUR_ID, "ada@mail.example")
    assert found.provider_message == "56761188-7520-42d8-8898-ff6fc54ce618"
    assert (found.from_address, found.subject) == ("Shop <news@shop.example>", "Hello")
    assert found.campaign == "8b146471-e88e-4322-86af-016cd36fd216"
    assert found.template == "43f68331-0622-4e15-8202-246a0388854b"
    assert found.tags == ("category:welcome",)


@pytest.mark.parametrize(
    ("kind", "sub_type", "expected", "how"),
    [
        ("Permanent", "General", EventType.BOUNCED, BounceType.HARD),
        (None, None, EventType.BOUNCED, BounceType.HARD),
        ("Transient", "MailboxFull", EventType.BOUNCED, BounceType.SOFT),
        ("Undetermined", "Undetermined", EventType.BOUNCED, BounceType.SOFT),
        ("Permanent", "Suppressed", EventType.FAILED, None),
        ("Permanent", "OnAccountSuppressionList", EventType.FAILED, None),
    ],
)
def test_bounces(kind: str | None, sub_type: str | None, expected: EventType, how: BounceType | None) -> None:
    bounce = {"type": kind, "subType": sub_type, "message": "no such user"}
    found = reading(PROVIDER, event("email.bounced", bounce=bounce))
    assert (found.type, found.bounce) == (expected, how)
    assert found.reason == f"{sub_type or ''} no such user".strip()


def test_reasons_and_engagement_in_full() -> None:
    assert reading(PROVIDER, event("email.failed", failed={"reason": "reached_daily_quota"})).reason == (
        "reached_daily_quota"
    )
    suppressed = {"message": "on the suppression list", "type": "OnAccountSuppressionList"}
    assert reading(PROVIDER, event("email.suppressed", suppressed=suppressed)).reason == "on the suppression list"
    click = {
        "ipAddress": "203.0.113.9",
        "link": "https://shop.example/?a=1",
        "timestamp": "2026-03-01T09:59:58.257Z",
        "userAgent": "Thunderbird",
    }
    found = reading(PROVIDER, event("email.clicked", click=click))
    assert (found.url, found.user_agent, found.ip) == ("https://shop.example/?a=1", "Thunderbird", "203.0.113.9")
    assert found.at == micros("2026-03-01T09:59:58.257+00:00")


def test_our_id_as_a_tag_in_either_shape_or_as_a_header() -> None:
    listed = [{"name": "postmeter_id", "value": OUR_ID}, {"name": "category", "value": "welcome"}]
    assert reading(PROVIDER, event("email.sent", tags=listed)).message == OUR_ID
    assert reading(PROVIDER, event("email.sent", tags=listed)).tags == ("category:welcome",)
    headers = [{"name": "X-Postmeter-ID", "value": OUR_ID}]
    assert reading(PROVIDER, event("email.sent", tags=None, headers=headers)).message == OUR_ID
    assert reading(PROVIDER, event("email.sent", tags=None)).message == ""


def test_mail_to_several_is_nobodys_in_particular() -> None:
    assert reading(PROVIDER, event("email.opened", to=["ada@mail.example", "bob@mail.example"])).recipient == ""
    assert reading(PROVIDER, event("email.opened", to="ada@mail.example")).recipient == "ada@mail.example"


@pytest.mark.parametrize("kind", ["contact.created", "contact.updated", "domain.deleted", "email.received"])
def test_events_of_no_message_that_was_sent(kind: str) -> None:
    found = reading(PROVIDER, event(kind, tags=None, id="e169aa45", email="ada@mail.example"))
    assert (found.type, found.name, found.message, found.provider_message) == (EventType.UNKNOWN, kind, "", "")
