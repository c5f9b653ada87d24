-- name: find
-- Numbers of the user agents with digests $2 of workspaces $1 that are known to be used in month $3, in that order; null
-- where there is none.
SELECT array_agg(u.id ORDER BY n.place)
FROM unnest($1::int[], $2::bytea[]) WITH ORDINALITY AS n (workspace, digest, place)
LEFT JOIN user_agent u ON u.workspace = n.workspace AND u.digest = n.digest AND u.used_in >= $3::date;

-- name: use
-- Those of the user agents with digests $2 of workspaces $1 that were used before month $3 are used in it. Waits for nobody.
UPDATE user_agent u SET used_in = $3::date FROM (
    SELECT u.workspace, u.id FROM unnest($1::int[], $2::bytea[]) AS n (workspace, digest)
    JOIN user_agent u ON u.workspace = n.workspace AND u.digest = n.digest AND u.used_in < $3::date
    FOR UPDATE OF u SKIP LOCKED) AS found
WHERE u.workspace = found.workspace AND u.id = found.id RETURNING u.workspace, u.digest, u.id;

-- name: make
-- User agents: $1 workspaces, $2 digests, $3 texts, used in month $4; those known stay as they are.
INSERT INTO user_agent (workspace, digest, text, used_in)
SELECT n.*, $4::date FROM unnest($1::int[], $2::bytea[], $3::text[]) AS n (workspace, digest, text)
ORDER BY workspace, digest
ON CONFLICT DO NOTHING;

-- name: count
-- How many user agents workspace $1 has, counted up to $2.
SELECT count(*) FROM (SELECT FROM user_agent WHERE workspace = $1 LIMIT $2) AS made;

-- name: drop_unused
-- Forget user agents that nothing has named since month $1.
DELETE FROM user_agent WHERE used_in < $1::date;
