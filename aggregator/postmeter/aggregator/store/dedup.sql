-- name: claim
-- Keys ($1 workspaces, $2 keys, $3 digests) not counted before, in any day kept; remembered under today.
INSERT INTO dedup (workspace, key, day, digest)
SELECT n.workspace, n.key, date_trunc('day', now()), n.digest
FROM unnest($1::int[], $2::bytea[], $3::bytea[]) AS n (workspace, key, digest)
WHERE NOT EXISTS (SELECT FROM dedup d WHERE d.workspace = n.workspace AND d.key = n.key)
ORDER BY n.workspace, n.key
ON CONFLICT DO NOTHING RETURNING workspace, key;

-- name: digests
-- The digests under which keys ($1 workspaces, $2 keys) were counted.
SELECT d.workspace, d.key, d.digest
FROM unnest($1::int[], $2::bytea[]) AS n (workspace, key)
JOIN dedup d ON d.workspace = n.workspace AND d.key = n.key;
