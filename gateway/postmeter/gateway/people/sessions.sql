-- name: session
-- Whose session $2 (hash) of workspace $1 is, and the seconds since its last use: none that was not used for $3, that has
-- ended, or whose holder may not come in any more.
SELECT s.id, w.id AS workspace_id, s.user_account, u.email, u.role AS user_role, u.domains AS user_domains,
    s.api_key, k.role AS key_role, k.scopes, k.domains AS key_domains,
    extract(epoch FROM now() - s.seen_at)::float8 AS unused
FROM session s JOIN workspace w ON w.number = s.workspace
LEFT JOIN user_account u ON u.workspace = s.workspace AND u.id = s.user_account AND u.disabled_at IS NULL
LEFT JOIN api_key k ON k.id = s.api_key AND k.workspace = s.workspace AND k.revoked_at IS NULL
WHERE s.workspace = $1 AND s.hash = $2 AND s.revoked_at IS NULL AND s.expires_at > now()
    AND s.seen_at > now() - $3::interval AND (u.id IS NOT NULL OR k.id IS NOT NULL)

-- name: begin
-- Add session $2 (hash) of user $3 or API key $4 to workspace $1, for $5 at most, from browser $6 on system $7.
INSERT INTO session (workspace, hash, user_account, api_key, expires_at, browser, system)
VALUES ($1, $2, $3, $4, now() + $5::interval, $6, $7)

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

-- name: own
-- The sessions of user $2 or API key $3 in workspace $1 that go on, but for those not used for $4; $5 at most.
SELECT id, created_at, seen_at, expires_at, browser, system FROM session
WHERE workspace = $1 AND (user_account = $2 OR api_key = $3) AND revoked_at IS NULL AND expires_at > now()
    AND seen_at > now() - $4::interval
ORDER BY seen_at DESC, id LIMIT $5

-- name: hold
-- User $2 of workspace $1 begins and ends no session elsewhere until the transaction ends.
SELECT FROM user_account WHERE workspace = $1 AND id = $2 FOR UPDATE

-- name: end_own
-- End session $4 (id), or each where it is NULL, of user $2 or API key $3 in workspace $1.
UPDATE session SET revoked_at = now()
WHERE workspace = $1 AND (user_account = $2 OR api_key = $3) AND ($4::uuid IS NULL OR id = $4) AND revoked_at IS NULL
RETURNING hash
