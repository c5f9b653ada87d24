"""What a user's role means: the role and the scopes that an API key of the same rights has (ADR 0042). And who may
give them: nobody gives, or takes away, more rights than they have themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

from postmeter.shared.auth import api_keys
from postmeter.shared.auth.principal import Principal
from postmeter.shared.errors import RequestError

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


_BELOW = {
    "super_admin": {"super_admin", "admin", "member", "domain_admin"},
    "admin": {"admin", "member", "domain_admin"},
    "domain_admin": {"domain_admin"},
}
"""By role: the roles that it may give."""


def may_give(caller: Principal, given: Principal) -> bool:
    """Whether the caller has all that a user or a key has, or is to have."""
    if given.role not in _BELOW.get(caller.role, ()) or not set(given.scopes) <= set(caller.scopes):
        return False
    return sees(caller, given)


def sees(caller: Principal, given: Principal) -> bool:
    """Whether a user or a key is any of the caller's business: of a confined one's, if all
    its domains are the caller's too.
    """
    if caller.confined_to is None:
        return True
    return bool(given.confined_to) and set(given.confined_to or ()) <= set(caller.confined_to)


def require_may_give(caller: Principal, given: Principal) -> None:
    """Raises RequestError 403 unless `may_give`."""
    if not may_give(caller, given):
        raise RequestError(403, "FORBIDDEN", "This is about rights that you do not have yourself.")
