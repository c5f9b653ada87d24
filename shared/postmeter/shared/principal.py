"""Who is asking: the holder of a verified API key, as the gateway passes it on in `Postmeter-Principal` (sealed.py)."""

from __future__ import annotations

import msgspec

from postmeter.shared import sealed
from postmeter.shared.secret import Secret

HEADER = "Postmeter-Principal"


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
    """The header's value."""
    return sealed.seal(principal, secret)


def unseal(header: str | None, secret: Secret) -> Principal:
    """The principal of a genuine header. Raises RequestError 401 for every other one."""
    return sealed.unseal(header, Principal, secret)
