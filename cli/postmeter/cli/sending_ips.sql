-- name: workspace_number
-- The number of workspace $1 (public id).
SELECT number FROM workspace WHERE id = $1;

-- name: add
-- IPs $2 that workspace $1 sends from; those returned are new.
INSERT INTO sending_ip (workspace, ip) SELECT $1, n.ip FROM unnest($2::inet[]) AS n (ip)
ON CONFLICT DO NOTHING RETURNING ip;

-- name: list
-- The IPs of workspace $1, when each was looked up, and the zones that list it.
SELECT ip, created_at, checked_at, listed_in FROM sending_ip WHERE workspace = $1 ORDER BY ip;

-- name: known
-- Which of the IPs $2 workspace $1 sends from.
SELECT ip FROM sending_ip WHERE workspace = $1 AND ip = ANY ($2::inet[]);

-- name: remove
-- Workspace $1 does not send from the IPs $2 any more.
DELETE FROM sending_ip WHERE workspace = $1 AND ip = ANY ($2::inet[]);
