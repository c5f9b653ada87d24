-- name: create
-- Add user $2 with email $3, role $4 and domains $5 to workspace $1 (public id). No row without workspace, where it has one
-- of that email, or $6 users, or they would have more than $7 domains together; without domains the user adds none.
INSERT INTO user_account (workspace, id, email, role, domains)
SELECT number, $2, $3, $4, $5 FROM workspace
WHERE id = $1 AND (SELECT count(*) < $6 AND (
        coalesce(cardinality($5::text[]), 0) = 0 OR coalesce(sum(cardinality(domains)), 0) + cardinality($5::text[]) <= $7)
    FROM user_account WHERE workspace = number)
ON CONFLICT (workspace, email) DO NOTHING
RETURNING workspace

-- name: by_email
-- Who signs in with the email $1, in workspace $2 (public id) or, when it is NULL, the one in which it was first.
SELECT u.workspace, u.id, u.password FROM user_account u JOIN workspace w ON w.number = u.workspace
WHERE u.email = $1 AND ($2::text IS NULL OR w.id = $2) AND u.disabled_at IS NULL AND u.password IS NOT NULL
ORDER BY u.created_at, u.workspace LIMIT 1

-- name: vouched_for
-- Whom a provider vouches for by the email $1, in workspace $2 (public id) or, when it is NULL, the one in which it was
-- first.
SELECT u.workspace, u.id FROM user_account u JOIN workspace w ON w.number = u.workspace
WHERE u.email = $1 AND ($2::text IS NULL OR w.id = $2) AND u.disabled_at IS NULL
ORDER BY u.created_at, u.workspace LIMIT 1

-- name: signed_in
-- User $2 of workspace $1 has just signed in, with the password whose hash is $3 if that is not NULL; no row where they may
-- not (any more).
UPDATE user_account SET signed_in_at = now()
WHERE workspace = $1 AND id = $2 AND disabled_at IS NULL AND ($3::text IS NULL OR password = $3)
RETURNING id

-- name: set_password
-- Keep $3, a hash, as the password of user $2 of workspace $1.
UPDATE user_account SET password = $3 WHERE workspace = $1 AND id = $2

-- name: workspace
-- Whether there is a workspace $1 (public id).
SELECT EXISTS (SELECT FROM workspace WHERE id = $1)

-- name: all
-- The users of workspace $1 (public id), or of all when it is NULL; $2 at most.
SELECT w.id AS workspace_id, u.workspace, u.id, u.email, u.role, u.domains, u.password IS NOT NULL AS has_password,
    u.created_at, u.signed_in_at, u.disabled_at
FROM user_account u JOIN workspace w ON w.number = u.workspace
WHERE $1::text IS NULL OR w.id = $1
ORDER BY w.id, u.email LIMIT $2

-- name: of_email
-- The users with the email $1, of workspace $2 (public id) or of all when it is NULL; $3 at most.
SELECT w.id AS workspace_id, u.workspace, u.id, u.email, u.role, u.domains, u.password IS NOT NULL AS has_password,
    u.created_at, u.signed_in_at, u.disabled_at
FROM user_account u JOIN workspace w ON w.number = u.workspace
WHERE u.email = $1 AND ($2::text IS NULL OR w.id = $2)
ORDER BY w.id LIMIT $3

-- name: one
-- User $2 of workspace $1, held until the transaction ends.
SELECT w.id AS workspace_id, u.workspace, u.id, u.email, u.role, u.domains, u.password IS NOT NULL AS has_password,
    u.created_at, u.signed_in_at, u.disabled_at
FROM user_account u JOIN workspace w ON w.number = u.workspace
WHERE u.workspace = $1 AND u.id = $2 FOR UPDATE OF u

-- name: domains_of_others
-- How many domains the users of workspace $1 have together, but for user $2.
SELECT coalesce(sum(cardinality(domains)), 0)::bigint FROM user_account WHERE workspace = $1 AND id <> $2

-- name: change
-- Give user $2 of workspace $1 role $3 and domains $4; disabled if $5.
UPDATE user_account SET role = $3, domains = $4, disabled_at = CASE WHEN $5 THEN coalesce(disabled_at, now()) END
WHERE workspace = $1 AND id = $2

-- name: remove
-- Remove user $2 of workspace $1, with what stands for them.
DELETE FROM user_account WHERE workspace = $1 AND id = $2
