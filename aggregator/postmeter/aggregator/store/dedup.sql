-- name: claim
-- Keys ($1 workspaces, $2 keys, $3 digests) not counted before, in any day kept. Remembered under today, and in its first hour
-- under yesterday as well: so who began before midnight and who began after it meet in a row, and one waits for the other.
WITH days AS (
    SELECT date_trunc('day', now()) AS day UNION SELECT date_trunc('day', now() - interval '1 hour')),
claimed AS (
    INSERT INTO dedup (workspace, key, day, digest)
    SELECT n.workspace, n.key, days.day, n.digest
    FROM unnest($1::int[], $2::bytea[], $3::bytea[]) AS n (workspace, key, digest) CROSS JOIN days
    WHERE NOT EXISTS (SELECT FROM dedup d WHERE d.workspace = n.workspace AND d.key = n.key)
    ORDER BY n.workspace, n.key, days.day
    ON CONFLICT DO NOTHING RETURNING workspace, key)
SELECT workspace, key FROM claimed GROUP BY workspace, key HAVING count(*) = (SELECT count(*) FROM days);

-- name: digests
-- The digests under which keys ($1 workspaces, $2 keys) were counted.
SELECT d.workspace, d.key, d.digest
FROM unnest($1::int[], $2::bytea[]) AS n (workspace, key)
JOIN dedup d ON d.workspace = n.workspace AND d.key = n.key;
