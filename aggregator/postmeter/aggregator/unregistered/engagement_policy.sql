-- name: providers_that_count
-- Providers whose own opens and clicks count, by workspace: those of which a valid source says so.
SELECT DISTINCT workspace, upper(provider) AS provider FROM webhook_source
WHERE revoked_at IS NULL AND engagement = 'provider' LIMIT 100000;

-- name: carried
-- Flags and providers of the messages ($1 workspaces, $2 ids).
SELECT m.workspace, m.id, m.flags, m.provider FROM unnest($1::int[], $2::uuid[]) AS n (workspace, id)
JOIN mail m ON m.workspace = n.workspace AND m.id = n.id;
