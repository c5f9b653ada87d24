-- name: entries
-- Up to $3 entries of workspace $1 that are older than the one with the number $2 (null: from the latest), the latest first.
SELECT id, at, actor, action, target, details::text AS details FROM audit
WHERE workspace = $1 AND ($2::bigint IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
