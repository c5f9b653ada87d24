-- name: note
-- Recipients of messages ($1 workspaces, $2 ids) opened on the days $3, at the latest: nothing else is kept of it.
INSERT INTO last_open AS known (workspace, to_hash, day)
SELECT m.workspace, m.to_hash, max(n.day)
FROM unnest($1::int[], $2::uuid[], $3::date[]) AS n (workspace, message, day)
JOIN mail m ON m.workspace = n.workspace AND m.id = n.message
WHERE m.to_hash <> ''
GROUP BY m.workspace, m.to_hash ORDER BY m.workspace, m.to_hash
ON CONFLICT (workspace, to_hash) DO UPDATE SET day = excluded.day WHERE known.day < excluded.day;
