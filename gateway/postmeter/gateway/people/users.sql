-- name: create
-- Add user $2 with email $3, role $4 and domains $5 to workspace $1 (public id). No row without workspace, or where it
-- has one of that email.
INSERT INTO user_account (workspace, id, email, role, domains)
SELECT number, $2, $3, $4, $5 FROM workspace WHERE id = $1
ON CONFLICT (workspace, email) DO NOTHING
RETURNING workspace

-- name: by_email
-- Who signs in with the email $1, in workspace $2 (public id) or, when it is NULL, the one in which it was first.
SELECT u.workspace, u.id, u.password FROM user_account u JOIN workspace w ON w.number = u.workspace
WHERE u.email = $1 AND ($2::text IS NULL OR w.id = $2) AND u.disabled_at IS NULL AND u.password IS NOT NULL
ORDER BY u.created_at, u.workspace LIMIT 1

-- name: signed_in
-- User $2 of workspace $1 has just signed in; no row where he may not (any more).
UPDATE user_account SET signed_in_at = now() WHERE workspace = $1 AND id = $2 AND disabled_at IS NULL
RETURNING id

-- name: set_password
-- Keep $3, a hash, as the password of user $2 of workspace $1.
UPDATE user_account SET password = $3 WHERE workspace = $1 AND id = $2
