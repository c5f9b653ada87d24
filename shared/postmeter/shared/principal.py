"""Who is asking: the holder of a verified API key, as the gateway passes it on in the header HEADER (sealed.py)."""

from __future__ import annotations

import msgspec

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
