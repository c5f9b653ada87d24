"""Who is asking: what the gateway passes to the services, signed.

The gateway alone knows API keys. It sends each service the header `Postmeter-Principal`, which is
base64url(JSON) "." base64url(HMAC-SHA256) under POSTMETER_INTERNAL_SECRET, good for a minute, so that a
service reachable by others still trusts nobody but the gateway.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time

import msgspec

from postmeter.shared.errors import RequestError
from postmeter.shared.secret import Secret

HEADER = "Postmeter-Principal"
LIFETIME = 60


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """A verified API key: its workspace (number and public id), role, scopes and request.

    domains: the names that a domain_admin is confined to; None means all of the workspace.
    """

    key_id: str
    workspace: int
    workspace_id: str
    role: str
    scopes: list[str]
    domains: list[str] | None = None
    request_id: str = ""
    expires: int = 0


def seal(principal: Principal, secret: Secret) -> str:
    """The header's value, good for LIFETIME seconds from now."""
    body = msgspec.json.encode(msgspec.structs.replace(principal, expires=int(time.time()) + LIFETIME))
    mac = hmac.new(secret.reveal().encode(), body, hashlib.sha256).digest()
    return f"{base64.urlsafe_b64encode(body).decode()}.{base64.urlsafe_b64encode(mac).decode()}"


def unseal(header: str | None, secret: Secret) -> Principal:
    """The principal of a genuine header. Raises RequestError 401 for every other one."""
    refused = RequestError(401, "UNAUTHORIZED", "This service answers requests that came through the gateway.")
    try:
        body_text, _, mac_text = (header or "").partition(".")
        body, mac = base64.urlsafe_b64decode(body_text), base64.urlsafe_b64decode(mac_text)
    except ValueError:
        raise refused from None
    if not hmac.compare_digest(mac, hmac.new(secret.reveal().encode(), body, hashlib.sha256).digest()):
        raise refused
    principal = msgspec.json.decode(body, type=Principal)
    if principal.expires < time.time():
        raise refused
    return principal
