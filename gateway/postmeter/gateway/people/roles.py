"""What a user's role means: the role and the scopes that an API key of the same rights has (ADR 0042)."""

from __future__ import annotations

from collections.abc import Sequence

from postmeter.shared.auth import api_keys
from postmeter.shared.auth.principal import Principal

USER = "user:"
"""How the key_id of a principal that is a user begins; the user's id follows."""
_SCOPES: dict[str, tuple[str, ...]] = {
    "admin": api_keys.SCOPES,
    "member": ("analytics", "track", "mail:read"),
    "viewer": ("analytics",),
}


def principal(
    user: str, workspace: int, workspace_id: str, role: str, domains: Sequence[str] | None = None
) -> Principal:
    """The principal that the services see. user: its id. Whoever has domains is confined to them, whatever the role.

    A role of another release has no scopes, and so nothing.
    """
    confined = domains is not None
    return Principal(
        key_id=USER + user,
        workspace=workspace,
        workspace_id=workspace_id,
        role="domain_admin" if confined else "admin" if role == "admin" else "member",
        scopes=list(_SCOPES.get(role, ())),
        domains=None if domains is None else list(domains),
    )
