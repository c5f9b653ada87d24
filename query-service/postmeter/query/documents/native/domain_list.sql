-- name: domains
-- Up to $4 domains of workspace $1 behind the name $2 (null: from the first), by name; only those of $3 unless null.
SELECT id, name, created_at FROM domain
WHERE workspace = $1 AND ($2::text IS NULL OR name > $2) AND ($3::text[] IS NULL OR name = ANY ($3::text[]))
ORDER BY name LIMIT $4
