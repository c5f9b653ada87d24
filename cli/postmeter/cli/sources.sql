-- name: create_source
-- Add source $1 to workspace $2 (public id): provider $3, name $4, encrypted secret $5, options $6, engagement $7.
INSERT INTO webhook_source (id, workspace, provider, name, secret, options, engagement)
SELECT $1, number, $3, $4, $5, $6, $7 FROM workspace WHERE id = $2
RETURNING id

-- name: list_sources
-- The sources of workspace $1 (public id), or all when it is NULL.
SELECT s.id, w.id AS workspace, s.provider, s.name, s.engagement, s.created_at, s.revoked_at
FROM webhook_source s JOIN workspace w ON w.number = s.workspace
WHERE $1::text IS NULL OR w.id = $1
ORDER BY w.id, s.created_at, s.id

-- name: count_engagement_of
-- Let the opens and clicks of $2 (own, provider) count for source $1; its id when there is one.
UPDATE webhook_source SET engagement = $2 WHERE id = $1 RETURNING id

-- name: find_source
-- Provider and options of source $1, unless it is revoked.
SELECT provider, options::text AS options FROM webhook_source WHERE id = $1 AND revoked_at IS NULL

-- name: replace_secret
-- Store $2, encrypted, as the secret of source $1; its id when there is one that is not revoked.
UPDATE webhook_source SET secret = $2 WHERE id = $1 AND revoked_at IS NULL
RETURNING id

-- name: revoke_source
-- Revoke source $1; its id when there is such a source, revoked before or not.
UPDATE webhook_source SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1
RETURNING id
