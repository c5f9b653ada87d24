-- name: find_links
-- Ids of the links with digests $2 of workspaces $1, in that order; null where there is none.
SELECT array_agg(l.id ORDER BY n.place)
FROM unnest($1::int[], $2::bytea[]) WITH ORDINALITY AS n (workspace, digest, place)
LEFT JOIN link l ON l.workspace = n.workspace AND l.digest = n.digest;

-- name: make_links
-- Links: $1 workspaces, $2 digests, $3 URLs; those known stay as they are.
INSERT INTO link (workspace, digest, url)
SELECT * FROM unnest($1::int[], $2::bytea[], $3::text[]) AS n (workspace, digest, url)
ORDER BY workspace, digest
ON CONFLICT DO NOTHING;

-- name: hold_links
-- Held to the end of the transaction, beside others who do the same, by whoever counts clicks of workspaces $2.
SELECT pg_advisory_xact_lock_shared($1, n.workspace) FROM unnest($2::int[]) AS n (workspace);

-- name: count_links
-- How many links workspace $1 has, counted up to $2.
SELECT count(*) FROM (SELECT FROM link WHERE workspace = $1 LIMIT $2) AS made;
