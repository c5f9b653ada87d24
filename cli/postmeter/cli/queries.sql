-- name: create_workspace
-- Add workspace $1 (public id) named $2 in zone $3; no row when it exists already.
INSERT INTO workspace (id, name, timezone) VALUES ($1, $2, $3)
ON CONFLICT (id) DO NOTHING
RETURNING number
