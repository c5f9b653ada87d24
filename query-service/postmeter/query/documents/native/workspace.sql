-- name: workspace
-- Public id, name and time zone of workspace $1.
SELECT id, name, timezone FROM workspace WHERE number = $1

-- name: domains
-- Up to $4 domains of workspace $1 behind the name $2 (null: from the first), by name; only those of $3 unless null.
SELECT id, name, created_at FROM domain
WHERE workspace = $1 AND ($2::text IS NULL OR name > $2) AND ($3::text[] IS NULL OR name = ANY ($3::text[]))
ORDER BY name LIMIT $4

-- name: entries
-- Up to $3 entries of workspace $1 that are older than the one with the number $2 (null: from the latest), the latest first.
SELECT id, at, actor, action, target, details::text AS details FROM audit
WHERE workspace = $1 AND ($2::bigint IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
