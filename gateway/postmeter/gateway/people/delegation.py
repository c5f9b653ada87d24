"""Nobody gives, or takes away, more rights than they have themselves."""

from __future__ import annotations

from postmeter.shared.auth.principal import Principal
from postmeter.shared.errors import RequestError

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


def require(caller: Principal, given: Principal) -> None:
    """Raises RequestError 403 unless `may_give`."""
    if not may_give(caller, given):
        raise RequestError(403, "FORBIDDEN", "This is about rights that you do not have yourself.")
