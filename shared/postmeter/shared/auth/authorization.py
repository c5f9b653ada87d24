"""Whether a verified key may use an endpoint: checked by the gateway, and again by the service behind it."""

from __future__ import annotations

from postmeter.shared.apis.endpoint import Endpoint
from postmeter.shared.auth.principal import Principal
from postmeter.shared.errors import RequestError


def require(endpoint: Endpoint, principal: Principal) -> None:
    """Raises RequestError 403 that says which scope or role the caller lacks."""
    if endpoint.scope is not None and endpoint.scope not in principal.scopes:
        raise RequestError(403, "FORBIDDEN", f"This needs the scope {endpoint.scope}, which this key or session lacks.")
    if endpoint.roles and principal.role not in endpoint.roles:
        raise RequestError(
            403, "FORBIDDEN", f"This needs the role {' or '.join(endpoint.roles)}, which this key or session lacks."
        )
