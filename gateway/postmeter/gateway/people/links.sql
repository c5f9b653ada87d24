-- name: void
-- Remove the links of user $2 in workspace $1 for purpose $3, or for all when it is NULL.
DELETE FROM one_time_link WHERE workspace = $1 AND user_account = $2 AND ($3::text IS NULL OR purpose = $3)

-- name: make
-- Add link $2 (hash) for purpose $4 of user $3 in workspace $1, good for $5.
INSERT INTO one_time_link (workspace, hash, user_account, purpose, expires_at)
VALUES ($1, $2, $3, $4, now() + $5::interval)

-- name: find
-- What link $2 (hash) of workspace $1 is for, while it is good, and whose it is.
SELECT l.purpose, u.id, u.email, w.id AS workspace_id FROM one_time_link l
JOIN workspace w ON w.number = l.workspace
JOIN user_account u ON u.workspace = l.workspace AND u.id = l.user_account AND u.disabled_at IS NULL
WHERE l.workspace = $1 AND l.hash = $2 AND l.used_at IS NULL AND l.expires_at > now()

-- name: use
-- Use link $2 (hash) of workspace $1 up: a row, once, while it is good.
UPDATE one_time_link SET used_at = now()
WHERE workspace = $1 AND hash = $2 AND used_at IS NULL AND expires_at > now()
RETURNING purpose
