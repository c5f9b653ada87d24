-- name: key
-- The API key with id $1 and its workspace, unless it was revoked.
SELECT api_key.hmac, api_key.role, api_key.scopes, api_key.domains, workspace.number, workspace.id AS workspace_id
FROM api_key JOIN workspace ON workspace.number = api_key.workspace
WHERE api_key.id = $1 AND api_key.revoked_at IS NULL
