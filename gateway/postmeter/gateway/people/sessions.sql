-- name: session
-- Whose session $2 (hash) of workspace $1 is, and the seconds since its last use: none that was not used for $3, that has
-- ended, or whose holder may not come in any more.
SELECT w.id AS workspace_id, s.user_account, u.email, u.role AS user_role, u.domains AS user_domains,
    s.api_key, k.role AS key_role, k.scopes, k.domains AS key_domains,
    extract(epoch FROM now() - s.seen_at)::float8 AS unused
FROM session s JOIN workspace w ON w.number = s.workspace
LEFT JOIN user_account u ON u.workspace = s.workspace AND u.id = s.user_account AND u.disabled_at IS NULL
LEFT JOIN api_key k ON k.id = s.api_key AND k.workspace = s.workspace AND k.revoked_at IS NULL
WHERE s.workspace = $1 AND s.hash = $2 AND s.revoked_at IS NULL AND s.expires_at > now()
    AND s.seen_at > now() - $3::interval AND (u.id IS NOT NULL OR k.id IS NOT NULL)

-- name: begin
-- Add session $2 (hash) of user $3 or API key $4 to workspace $1, for $5 at most.
INSERT INTO session (workspace, hash, user_account, api_key, expires_at) VALUES ($1, $2, $3, $4, now() + $5::interval)

-- name: clear
-- Of user $2 or API key $3 in workspace $1, remove sessions that have ended, and all but the latest $4.
DELETE FROM session WHERE workspace = $1 AND (user_account = $2 OR api_key = $3) AND (
    expires_at < now() OR revoked_at IS NOT NULL OR hash IN (
        SELECT hash FROM session WHERE workspace = $1 AND (user_account = $2 OR api_key = $3)
        ORDER BY created_at DESC OFFSET $4))

-- name: seen
-- Session $2 (hash) of workspace $1 is used now.
UPDATE session SET seen_at = now() WHERE workspace = $1 AND hash = $2 AND seen_at < now()

-- name: end
-- End session $2 (hash) of workspace $1.
UPDATE session SET revoked_at = now() WHERE workspace = $1 AND hash = $2 AND revoked_at IS NULL

-- name: end_all
-- End every session of user $2 in workspace $1.
UPDATE session SET revoked_at = now() WHERE workspace = $1 AND user_account = $2 AND revoked_at IS NULL
