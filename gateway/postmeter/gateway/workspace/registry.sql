-- name: create_workspace
-- Add workspace $1 (public id) named $2 in zone $3; no row when it exists already.
INSERT INTO workspace (id, name, timezone) VALUES ($1, $2, $3)
ON CONFLICT (id) DO NOTHING
RETURNING number

-- name: workspaces
-- Every workspace, by its public id.
SELECT id, name, timezone, created_at
FROM workspace
ORDER BY id COLLATE "C"
