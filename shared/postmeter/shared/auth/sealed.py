"""What the gateway tells the services in a header that only it can write (ADR 0007, 0029).

    version "." base64url(nonce | expires | JSON) "." base64url(HMAC-SHA256)

The key is POSTMETER_INTERNAL_SECRET, so that a service reachable by others still trusts nobody but the gateway. The
MAC covers the version, the header's name, and the method and target of the one request that the header was made for:
read on the wire, it is worth nothing for another request, nor in place of a header of another kind. It is good for
LIFETIME seconds, and for a write once.

So whoever can reach a service but cannot read its traffic gains nothing: no seal ever goes to a caller, the gateway
takes no `Postmeter-` header from one, and a made-up header is a 401 (with a hit: as if it were not there).

Not promised:
- The body. Bodies are passed on while they come; a hash of one could only follow it. Whoever can write on the way
  between gateway and service can change a body, as they can change the answer.
- Once, beyond this process and its life. Another process of the same service, or one that was started again, takes the
  header of a write a second time, with whatever body, until it has expired.
- That nobody reads it: the JSON is not encrypted. A read that is repeated answers again, what is new in it included;
  a hit that is repeated counts again under the same address, as it would from anybody who has its URL.

All three need somebody who reads or writes between gateway and service: that network is closed to others or encrypted
(SECURITY.md).
"""

from __future__ import annotations

import base64
import hmac
import os
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import RequestError

VERSION = "2"
LIFETIME = 30
"""Seconds that a header is good for."""
TOLERANCE = 30
"""Seconds that the gateway's clock may be ahead of a service's; what claims to be good for longer is refused."""
_NONCE_BYTES = 12
_EXPIRES = slice(_NONCE_BYTES, _NONCE_BYTES + 8)
_READS = ("GET", "HEAD")

T = TypeVar("T", bound=msgspec.Struct)


def seal(name: str, struct: msgspec.Struct, secret: Secret, method: str, target: str) -> str:
    """The value of the header `name` of one request. target: its path and query as they are sent."""
    expires = (int(time.time()) + LIFETIME).to_bytes(8)
    body = os.urandom(_NONCE_BYTES) + expires + msgspec.json.encode(struct)
    mac = _mac(name, body, secret, method, target)
    return f"{VERSION}.{base64.urlsafe_b64encode(body).decode()}.{base64.urlsafe_b64encode(mac).decode()}"


class Seals:
    """Opens the headers of a service's requests. `now`: Unix time in seconds."""

    def __init__(self, secret: Secret, now: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._now = now
        self._spent: dict[bytes, int] = {}

    def open(
        self,
        name: str,
        kind: type[T],
        headers: Mapping[str, str],
        method: str,
        target: str,
        *,
        repeatable: bool = False,
    ) -> T:
        """What the header `name` of this request holds; the header of a write that is not repeatable opens only once.

        Raises RequestError 401 for every header that is not genuine, not of this request, too old or spent. Which
        writes were taken is remembered by this process: another one of the same service knows nothing of them.
        """
        version, _, rest = headers.get(name, "").partition(".")
        body_text, _, mac_text = rest.partition(".")
        try:
            body, mac = base64.urlsafe_b64decode(body_text), base64.urlsafe_b64decode(mac_text)
        except ValueError:
            raise _refused() from None
        if version != VERSION or not hmac.compare_digest(mac, _mac(name, body, self._secret, method, target)):
            raise _refused()
        now, expires = self._now(), int.from_bytes(body[_EXPIRES])
        if not now <= expires <= now + LIFETIME + TOLERANCE:
            raise _refused(
                f"What the gateway said is {now - expires + LIFETIME:.0f} seconds old by the clock of this service."
            )
        if not repeatable and method not in _READS:
            self._spend(mac, expires, now)
        try:
            return msgspec.json.decode(body[_EXPIRES.stop :], type=kind)
        except msgspec.DecodeError:
            raise _refused() from None  # of another release

    def _spend(self, mac: bytes, expires: int, now: float) -> None:
        if mac in self._spent:
            raise _refused()
        while self._spent and self._spent[oldest := next(iter(self._spent))] < now:
            del self._spent[oldest]
        self._spent[mac] = expires


def _mac(name: str, body: bytes, secret: Secret, method: str, target: str) -> bytes:
    # No part but the last can hold a NUL: headers and request lines have none.
    request = "\0".join((f"postmeter-sealed-{VERSION}", name, method, target, "")).encode(errors="surrogateescape")
    return hmac.digest(secret.reveal().encode(), request + body, "sha256")


def _refused(why: str = "This service answers requests that came through the gateway.") -> RequestError:
    # A new one each time: an exception that is raised again keeps the frames, and so the requests, of all times before.
    return RequestError(401, "UNAUTHORIZED", why)
