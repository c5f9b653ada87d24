-- name: create_workspace
-- Add workspace $1 (public id) named $2 in zone $3; no row when it exists already.
INSERT INTO workspace (id, name, timezone) VALUES ($1, $2, $3)
ON CONFLICT (id) DO NOTHING
RETURNING number

-- name: change_workspace
-- Call workspace $1 $2 and put it into zone $3, each unless it is null; no row where there is none.
UPDATE workspace SET name = coalesce($2, name), timezone = coalesce($3, timezone)
WHERE id = $1
RETURNING number

-- name: workspaces
-- Every workspace, by its public id.
SELECT id, name, timezone, created_at
FROM workspace
ORDER BY id COLLATE "C"
