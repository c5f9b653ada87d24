-- name: workspace_number
-- The number of workspace $1 (public id).
SELECT number FROM workspace WHERE id = $1

-- name: add
-- IPs $2 that workspace $1 sends from, unless it would then have more than $3; those returned are new.
INSERT INTO sending_ip (workspace, ip) SELECT $1, n.ip FROM unnest($2::inet[]) AS n (ip)
WHERE (SELECT count(*) FROM (
    SELECT ip FROM sending_ip WHERE workspace = $1 UNION SELECT unnest($2::inet[])) AS then_there) <= $3
ON CONFLICT DO NOTHING RETURNING ip

-- name: list
-- The IPs of workspace $1, when each was looked up, and the zones that list it; $2 at most.
SELECT ip, created_at, checked_at, listed_in FROM sending_ip WHERE workspace = $1 ORDER BY ip LIMIT $2

-- name: known
-- Those of the IPs $2 that workspace $1 sends from, as `list` shows them.
SELECT ip, created_at, checked_at, listed_in FROM sending_ip WHERE workspace = $1 AND ip = ANY ($2::inet[]) ORDER BY ip

-- name: remove
-- Workspace $1 does not send from the IPs $2 any more; those returned it did.
DELETE FROM sending_ip WHERE workspace = $1 AND ip = ANY ($2::inet[]) RETURNING ip
