-- name: create
-- Add source $1 to workspace $2 (public id), unless that has $8 that are not revoked: provider $3, name $4, encrypted secret
-- $5, options $6, engagement $7.
INSERT INTO webhook_source (id, workspace, provider, name, secret, options, engagement)
SELECT $1, number, $3, $4, $5, $6, $7 FROM workspace WHERE id = $2
    AND (SELECT count(*) FROM webhook_source s WHERE s.workspace = number AND s.revoked_at IS NULL) < $8
RETURNING created_at

-- name: workspace
-- Whether there is a workspace $1 (public id).
SELECT EXISTS (SELECT FROM workspace WHERE id = $1)

-- name: all
-- The sources of workspace $1 (public id), or all when it is NULL, revoked ones if $2; at most $3.
SELECT s.id, w.id AS workspace, s.provider, s.name, s.engagement, s.options, s.created_at, s.revoked_at
FROM webhook_source s JOIN workspace w ON w.number = s.workspace
WHERE ($1::text IS NULL OR w.id = $1) AND ($2 OR s.revoked_at IS NULL)
ORDER BY w.id, s.created_at, s.id LIMIT $3

-- name: one
-- Source $2, unless it is revoked, of workspace $1 (public id), or of any when that is NULL.
SELECT s.id, w.id AS workspace, s.provider, s.name, s.engagement, s.options, s.created_at, s.revoked_at, s.secret
FROM webhook_source s JOIN workspace w ON w.number = s.workspace
WHERE ($1::text IS NULL OR w.id = $1) AND s.id = $2 AND s.revoked_at IS NULL

-- name: change
-- Name $2, encrypted secret $3, options $4, engagement $5 of source $1; what is null stays. Its id unless it is revoked.
UPDATE webhook_source SET name = coalesce($2, name), secret = coalesce($3, secret), options = coalesce($4, options),
    engagement = coalesce($5, engagement)
WHERE id = $1 AND revoked_at IS NULL
RETURNING id

-- name: revoke
-- Revoke source $2 of workspace $1 (public id), or of any when that is NULL. When, if there is one, revoked before or not,
-- and the workspace's number.
UPDATE webhook_source s SET revoked_at = coalesce(s.revoked_at, now()) FROM workspace w
WHERE w.number = s.workspace AND ($1::text IS NULL OR w.id = $1) AND s.id = $2
RETURNING s.revoked_at, s.workspace

-- name: newest_secret
-- The encrypted secret that was stored last, of sources that are not revoked; null where none has one.
SELECT secret FROM webhook_source WHERE revoked_at IS NULL AND secret <> '' ORDER BY created_at DESC, id LIMIT 1
