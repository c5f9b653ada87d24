"""What Workspaces' paths and parameters name: the workspace, a campaign, a domain. What is not there is a 404."""

from __future__ import annotations

import re
from uuid import UUID

from postmeter.query.documents import campaigns
from postmeter.query.documents.campaigns import Campaign
from postmeter.query.engine.query import Scope
from postmeter.query.requests.handler import Asked
from postmeter.shared.errors import RequestError
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.storage.sql import Queries

QUERIES = Queries("postmeter.query.documents.workspaces", "workspaces.sql")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


def workspace(asked: Asked) -> str:
    """The workspace's public id in the path. Raises RequestError 404 for every other one than the key's."""
    given = asked.request.match_info["workspaceId"]
    if given != asked.principal.workspace_id:
        # Nothing is looked up, so that another tenant's workspace is like one that does not exist.
        raise RequestError(404, "WORKSPACE_NOT_FOUND", f"Workspace with ID {given} not found", "workspaceId")
    return given


async def campaign(pool: Pool, scope: Scope, campaign_id: str) -> Campaign:
    """The campaign. Raises RequestError 404 CAMPAIGN_NOT_FOUND where there is none that the caller may see."""
    found = await campaigns.find(pool, scope, campaign_id)
    if found is None:
        message = await _missing(pool, scope, "Campaign", campaign_id)
        raise RequestError(404, "CAMPAIGN_NOT_FOUND", message, "campaignId")
    return found


async def domain(pool: Pool, scope: Scope, domain_id: str) -> str:
    """The name of the domain with this UUID. Raises RequestError 404 DOMAIN_NOT_FOUND.

    A domain_admin gets 403 FORBIDDEN for every domain but its own, whether it exists or not (as in Vectis).
    """
    name: str | None = None
    if _UUID.fullmatch(domain_id):
        name = await pool.fetchval(QUERIES["domain"], scope.workspace, UUID(domain_id))
    if scope.domains is not None and name not in scope.domains:
        raise RequestError(403, "FORBIDDEN", "No access to the requested domain.", "domainId")
    if name is None:
        message = await _missing(pool, scope, "Domain", domain_id)
        raise RequestError(404, "DOMAIN_NOT_FOUND", message, "domainId")
    return name


async def _missing(pool: Pool, scope: Scope, what: str, given: str) -> str:
    owner = await pool.fetchval(QUERIES["workspace"], scope.workspace)
    return f"{what} with ID {given} not found in workspace {owner}"
