-- name: create
-- Add key $1 to workspace $2 (public id): HMAC $3, role $4, scopes $5, domains $6, name $7. No row without workspace, or
-- where $8 keys of it are good, or those that are would have more than $9 domains together; without domains it adds none.
INSERT INTO api_key (id, workspace, hmac, role, scopes, domains, name)
SELECT $1, number, $3, $4, $5, $6, $7 FROM workspace
WHERE id = $2 AND (SELECT count(*) < $8 AND (
        coalesce(cardinality($6::text[]), 0) = 0 OR coalesce(sum(cardinality(domains)), 0) + cardinality($6::text[]) <= $9)
    FROM api_key WHERE workspace = number AND revoked_at IS NULL)
ON CONFLICT (id) DO NOTHING
RETURNING created_at

-- name: widen
-- Give key $1 the scopes $2, unless it was revoked.
UPDATE api_key SET scopes = $2 WHERE id = $1 AND scopes <> $2 AND revoked_at IS NULL

-- name: workspace
-- Whether there is a workspace $1 (public id).
SELECT EXISTS (SELECT FROM workspace WHERE id = $1)

-- name: all
-- The keys of workspace $1 (public id), or of all when it is NULL; those that were revoked too if $2. At most $3.
SELECT k.id, w.id AS workspace, k.role, k.scopes, k.domains, k.name, k.created_at, k.revoked_at
FROM api_key k JOIN workspace w ON w.number = k.workspace
WHERE ($1::text IS NULL OR w.id = $1) AND ($2 OR k.revoked_at IS NULL)
ORDER BY w.id, k.created_at, k.id LIMIT $3

-- name: one
-- Key $2 of workspace $1 (public id), unless it was revoked.
SELECT k.id, w.id AS workspace, k.role, k.scopes, k.domains, k.name, k.created_at, k.revoked_at
FROM api_key k JOIN workspace w ON w.number = k.workspace
WHERE w.id = $1 AND k.id = $2 AND k.revoked_at IS NULL

-- name: revoke
-- Revoke key $1; when that was, revoked before or not, and its workspace's number. No row without such a key.
UPDATE api_key SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1
RETURNING revoked_at, workspace
