"""Checks that several providers share; each raises the refusal that the caller is to answer with."""

from __future__ import annotations

import base64
import hashlib
import hmac

from postmeter.tracking.webhooks.provider import Delivery, WebhookSource, refused

CHALLENGE = {"WWW-Authenticate": 'Basic realm="Postmeter webhooks"'}
"""Who sends a password only when asked (RFC 9110 section 11.6.1), as SNS does, is asked by this."""
CLOCK_SKEW = 300
"""Seconds that a signed timestamp may lie off our clock, unless a provider says otherwise."""


def same(given: str, right: str) -> bool:
    """Whether two signatures or passwords are equal, in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), right.encode())


def header(delivery: Delivery, name: str) -> str:
    """A header that a genuine delivery has. Raises the refusal that names it."""
    value = delivery.headers.get(name, "").strip()
    if not value:
        raise refused(f"The header {name} is missing.")
    return value


def sha256_hex(source: WebhookSource, signed: bytes) -> str:
    """HMAC-SHA256 under the source's secret, as lower-case hex."""
    return hmac.new(source.secret.reveal().encode(), signed, hashlib.sha256).hexdigest()


def require(found: bool) -> None:
    """Raise the refusal of a wrong signature unless `found`."""
    if not found:
        raise refused("The signature does not fit: check the source's secret.")


def fresh(delivery: Delivery, timestamp: str, seconds: float = CLOCK_SKEW) -> None:
    """Raise the refusal unless a signed Unix timestamp lies within `seconds` of now."""
    try:
        off = abs(delivery.now - float(timestamp))
    except ValueError:
        raise refused("The signed timestamp is not a number.") from None
    if not off <= seconds:
        raise refused("The signed timestamp is too old or too new.")


async def basic_auth(delivery: Delivery, source: WebhookSource) -> None:
    """HTTP basic authentication whose password is the source's secret, for providers that sign nothing."""
    scheme, _, encoded = delivery.headers.get("Authorization", "").strip().partition(" ")
    try:
        _, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:  # no base64, or no text in it
        password = ""
    if scheme.lower() != "basic" or not same(password, source.secret.reveal()):
        raise refused("The user name and password in the webhook's URL do not fit the source.", CHALLENGE)
