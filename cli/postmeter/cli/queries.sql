-- name: create_workspace
-- Add workspace $1 (public id) named $2 in zone $3; no row when it exists already.
INSERT INTO workspace (id, name, timezone) VALUES ($1, $2, $3)
ON CONFLICT (id) DO NOTHING
RETURNING number

-- name: workspace_exists
-- Whether there is a workspace $1 (public id).
SELECT EXISTS (SELECT FROM workspace WHERE id = $1)

-- name: create_key
-- Add key $1 to workspace $2 (public id): HMAC $3, role $4, scopes $5, domains $6. No row without workspace.
INSERT INTO api_key (id, workspace, hmac, role, scopes, domains)
SELECT $1, number, $3, $4, $5, $6 FROM workspace WHERE id = $2
ON CONFLICT (id) DO NOTHING
RETURNING id

-- name: list_keys
-- The keys of workspace $1 (public id), or all when it is NULL.
SELECT k.id, w.id AS workspace, k.role, k.scopes, k.domains, k.created_at, k.revoked_at
FROM api_key k JOIN workspace w ON w.number = k.workspace
WHERE $1::text IS NULL OR w.id = $1
ORDER BY w.id, k.created_at, k.id

-- name: revoke_key
-- Revoke key $1; its id when there is such a key, revoked before or not.
UPDATE api_key SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1
RETURNING id
