"""Postal: RSA over the body by SHA-256 and SHA-1, and what its events mean."""

import base64
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from postmeter.shared.errors import RequestError
from postmeter.shared.stream.events import BounceType, EventType
from postmeter.tracking.webhooks.events import event_of
from postmeter.tracking.webhooks.handler import read
from postmeter.tracking.webhooks.provider import Delivery, ItemUnreadable
from postmeter.tracking.webhooks.providers.postal import PROVIDER
from tests.webhooks.deliveries import NOW, OUR_ID, delivery, raw, reading, refusal, source
from tests.webhooks.postal import AT, CLICKED, DELAYED, EVENTS, HELD, LOADED, REFUSED, SENT, UUID, event, message

MODERN, OLD = "X-Postal-Signature-256", "X-Postal-Signature"


@cache
def private_key(which: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    """What stands after `p=` in a DKIM record."""
    encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return base64.b64encode(key.public_key().public_bytes(encoding, form)).decode()


def signature(body: bytes, algorithm: hashes.HashAlgorithm, which: str = "installation") -> str:
    return base64.b64encode(private_key(which).sign(body, padding.PKCS1v15(), algorithm)).decode()


SOURCE = source("postal", public(private_key("installation")))


@pytest.mark.parametrize(
    ("told", "kind", "bounce", "reason"),
    EVENTS,
)
def test_every_event(told: dict[str, Any], kind: EventType, bounce: BounceType | None, reason: str) -> None:
    found = reading(PROVIDER, told)
    assert (found.type, found.name, found.bounce, found.reason) == (kind, told["event"], bounce, reason)
    assert found.at == round((AT - 1 if "status" in told["payload"] else AT) * 1000) * 1000
    assert (found.message, found.provider_message, found.event_id) == (OUR_ID, "abcdef123", UUID)
    assert (found.recipient, found.from_address) == ("reader@example.org", "billing@sender.example")
    assert (found.subject, found.tags) == ("Your invoice", ())


def test_a_click_tells_who_and_where() -> None:
    found = reading(PROVIDER, CLICKED)
    assert (found.url, found.ip, found.user_agent) == ("https://shop.example/?q=1", "203.0.113.9", "Mozilla/5.0 (X11)")


@pytest.mark.parametrize(
    ("tag", "tags"), [("welcome", ("welcome",)), (None, ()), ("postmeter_id:", ()), ("a:b", ("a:b",))]
)
def test_a_tag_of_the_senders_own_is_a_tag(tag: str | None, tags: tuple[str, ...]) -> None:
    found = reading(PROVIDER, event("MessageLoaded", {"message": message(tag=tag)}))
    assert (found.message, found.tags) == ("", tags)


@pytest.mark.parametrize("told", [SENT, DELAYED, REFUSED, HELD])
def test_mail_that_postal_receives_is_none_that_was_sent(told: dict[str, Any]) -> None:
    payload = told["payload"] | {"message": message(direction="incoming")}
    found = reading(PROVIDER, told | {"payload": payload})
    assert (found.type, found.name) == (EventType.UNKNOWN, f"{told['event']} incoming")
    assert (found.message, found.provider_message) == ("", "")


@pytest.mark.parametrize(
    "told",
    [
        event(
            "DomainDNSError", {"domain": "sender.example", "uuid": "u", "dns_checked_at": AT, "server": {"name": "n"}}
        ),
        event("SendLimitApproaching", {"server": {"uuid": "u"}, "volume": 9, "limit": 10}),
        event("SomethingElse", {"message": "text", "url": 7}),
    ],
)
def test_what_is_told_of_a_domain_or_server_is_kept(told: dict[str, Any]) -> None:
    found = reading(PROVIDER, told)
    assert (found.type, found.name, found.provider_message) == (EventType.UNKNOWN, told["event"], "")


def test_a_repetition_is_known_by_the_id_of_the_event() -> None:
    def key(told: dict[str, Any]) -> bytes:
        (found,) = PROVIDER.read(raw(told))
        return event_of(found, raw(told), 0, PROVIDER, SOURCE, NOW * 1_000_000).key

    assert key(LOADED) == key(LOADED | {"timestamp": AT + 1})
    assert key(LOADED) != key(LOADED | {"uuid": "another"})


@pytest.mark.parametrize(
    "told", [{}, {"event": None}, event("MessageSent", {"message": {"token": []}}), event("MessageSent", {})]
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


def both(body: bytes, which: str = "installation") -> dict[str, str]:
    return {MODERN: signature(body, hashes.SHA256(), which), OLD: signature(body, hashes.SHA1(), which)}


async def test_new_and_old_installations_pass() -> None:
    for body in (raw(SENT), b'{ "event" : "x" }\n', "{é}".encode("latin-1")):
        signatures = both(body)
        await PROVIDER.verify(delivery(body, signatures), SOURCE)
        await PROVIDER.verify(delivery(body, {OLD: signatures[OLD]}), SOURCE)
        await PROVIDER.verify(delivery(body, {MODERN: signatures[MODERN]}), SOURCE)


BODY = raw(SENT)


def forgeries() -> list[Delivery]:
    right = both(BODY)
    return [
        delivery(BODY + b" ", right),
        delivery(BODY, both(BODY, "another")),
        delivery(BODY, {MODERN: right[OLD]}),
        delivery(BODY, {OLD: right[MODERN]}),
        delivery(BODY, {MODERN: "AAAA", OLD: right[OLD]}),  # the stronger one decides
        delivery(BODY, {MODERN: "\xe9"}),
        delivery(BODY, {OLD: "no base64!"}),
        delivery(BODY, {OLD: ""}),
        delivery(BODY),
    ]


@pytest.mark.parametrize("forged", forgeries())
async def test_a_forged_delivery_is_refused(forged: Delivery) -> None:
    await refusal(PROVIDER, forged, SOURCE)


@pytest.mark.parametrize(
    "secret", ["", "no key", "AAAA", "v=DKIM1; p=AAAA", public(ec.generate_private_key(ec.SECP256R1()))]
)
async def test_a_source_without_a_proper_key_takes_nothing(secret: str) -> None:
    with pytest.raises(RequestError) as caught:
        await PROVIDER.verify(delivery(BODY, both(BODY)), source("postal", secret))
    assert caught.value.status == 401
