"""Who is asking: the holder of a verified API key, as the gateway passes it on in the header HEADER (sealed.py)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from postmeter.shared.apis.endpoint import Endpoint
from postmeter.shared.errors import RequestError

HEADER = "Postmeter-Principal"


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """A verified API key: its workspace (number and public id), role, scopes and request.

    domains: as stored with the key; `confined_to` tells what they mean.
    """

    key_id: str
    workspace: int
    workspace_id: str
    role: str
    scopes: list[str]
    domains: list[str] | None = None
    request_id: str = ""

    @property
    def confined_to(self) -> tuple[str, ...] | None:
        """The domains that the caller is confined to, each once and in order; None: all of the workspace.

        A domain_admin without domains has nothing.
        """
        if self.role != "domain_admin" and self.domains is None:
            return None
        return tuple(sorted({name.lower() for name in self.domains or []}))


DOMAINS_CHARS = 32_000
"""Characters of the names of a caller's domains, and three for each: sealed they are a header of 45 KB, and
tracking-service takes 60 of all.
"""


def fits(domains: Iterable[str]) -> bool:
    """Whether a caller may be confined to so many, each being so long."""
    return sum(len(name) + 3 for name in domains) <= DOMAINS_CHARS


NOBODY = Principal(key_id="", workspace=0, workspace_id="", role="domain_admin", scopes=[], domains=[])
"""The caller of a public endpoint."""


def authorize(endpoint: Endpoint, principal: Principal) -> None:
    """Raises RequestError 403 that says which scope or role the caller lacks."""
    if endpoint.scope is not None and endpoint.scope not in principal.scopes:
        raise RequestError(403, "FORBIDDEN", f"This needs the scope {endpoint.scope}, which this key or session lacks.")
    if endpoint.roles and principal.role not in endpoint.roles:
        raise RequestError(
            403, "FORBIDDEN", f"This needs the role {' or '.join(endpoint.roles)}, which this key or session lacks."
        )
