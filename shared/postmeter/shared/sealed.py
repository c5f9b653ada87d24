"""What the gateway tells the services, signed: base64url(JSON) "." base64url(HMAC-SHA256), good for a minute.

The key is POSTMETER_INTERNAL_SECRET, so that a service reachable by others still trusts nobody but the gateway.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import Protocol, TypeVar

import msgspec

from postmeter.shared.errors import RequestError
from postmeter.shared.secret import Secret

LIFETIME = 60


class Sealable(Protocol):
    """A struct whose `expires` is the Unix time until which it is good; 0 before it is sealed."""

    @property
    def expires(self) -> int:
        """Seconds since 1970."""


T = TypeVar("T", bound=Sealable)


def seal(struct: msgspec.Struct, secret: Secret) -> str:
    """The header's value, good for LIFETIME seconds from now."""
    body = msgspec.json.encode(msgspec.structs.replace(struct, expires=int(time.time()) + LIFETIME))
    mac = hmac.new(secret.reveal().encode(), body, hashlib.sha256).digest()
    return f"{base64.urlsafe_b64encode(body).decode()}.{base64.urlsafe_b64encode(mac).decode()}"


def unseal(header: str | None, kind: type[T], secret: Secret) -> T:
    """What a genuine header holds. Raises RequestError 401 for every other one."""
    refused = RequestError(401, "UNAUTHORIZED", "This service answers requests that came through the gateway.")
    try:
        body_text, _, mac_text = (header or "").partition(".")
        body, mac = base64.urlsafe_b64decode(body_text), base64.urlsafe_b64decode(mac_text)
    except ValueError:
        raise refused from None
    if not hmac.compare_digest(mac, hmac.new(secret.reveal().encode(), body, hashlib.sha256).digest()):
        raise refused
    try:
        found = msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError:
        raise refused from None  # of another kind: each header holds its own
    if found.expires < time.time():
        raise refused
    return found
