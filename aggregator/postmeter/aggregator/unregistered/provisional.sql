-- numbers: postmeter.aggregator.fold.states.Flag

-- name: antedate
-- Messages ($1 workspaces, $2 ids) were created at $3.
UPDATE message m SET created_at = n.created_at
FROM unnest($1::int[], $2::uuid[], $3::timestamptz[]) AS n (workspace, id, created_at)
WHERE m.workspace = n.workspace AND m.id = n.id;

-- name: watch
-- Unregistered messages ($1 workspaces, $2 ids) that a registration which is being counted may miss.
INSERT INTO unregistered (workspace, message)
SELECT * FROM unnest($1::int[], $2::uuid[]) AS n (workspace, message) ORDER BY workspace, message
ON CONFLICT (workspace, message) DO UPDATE SET fence = NULL;

-- name: with_unregistered
-- Those of providers $2 of workspaces $1 that have told of messages which nobody has registered.
SELECT n.workspace, n.provider FROM unnest($1::int[], $2::text[]) AS n (workspace, provider)
WHERE EXISTS (
    SELECT FROM message m
    WHERE m.workspace = n.workspace AND m.provider = n.provider AND m.flags & {Flag.PROVISIONAL} <> 0);

-- name: notice
-- Look again at the unregistered messages that providers $2 of workspaces $1 call $3: they have just been registered.
INSERT INTO unregistered (workspace, message)
SELECT m.workspace, m.id FROM unnest($1::int[], $2::text[], $3::text[]) AS n (workspace, provider, provider_message)
JOIN message m ON m.workspace = n.workspace AND m.provider = n.provider
    AND m.provider_message = n.provider_message AND m.flags & {Flag.PROVISIONAL} <> 0
GROUP BY m.workspace, m.id ORDER BY m.workspace, m.id
ON CONFLICT (workspace, message) DO UPDATE SET fence = NULL;

-- name: visit
-- Up to $1 unregistered messages to look at: new ones, and those that nothing can have missed any more. Locked.
SELECT u.workspace, u.message, u.fence IS NOT NULL AS settled FROM unregistered u
WHERE u.fence IS NULL OR u.fence <= pg_snapshot_xmin(pg_current_snapshot())
ORDER BY u.fence NULLS FIRST LIMIT $1 FOR UPDATE SKIP LOCKED;

-- name: registered
-- Of the unregistered messages ($1 workspaces, $2 ids) those that are there and under what name they are registered; by a
-- key that is confined to a domain only if the webhook told of that domain.
SELECT p.workspace, p.id AS provisional, r.id AS message, r.series, r.flags, r.provider
FROM unnest($1::int[], $2::uuid[]) AS n (workspace, id)
JOIN mail p ON p.workspace = n.workspace AND p.id = n.id AND p.flags & {Flag.PROVISIONAL} <> 0
JOIN LATERAL (
    SELECT m.id, m.series, m.flags, m.provider FROM (
        SELECT * FROM mail
        WHERE hashtextextended(nullif(provider_message, ''), workspace) = hashtextextended(p.provider_message, p.workspace)
        OFFSET 0) AS m  -- by the hash alone, as find_provider_messages
    WHERE m.workspace = p.workspace AND m.provider = p.provider AND m.provider_message = p.provider_message
        AND m.provider_message <> '' AND m.flags & {Flag.PROVISIONAL} = 0 AND (m.flags & {Flag.CONFINED} = 0 OR m.domain = p.domain)
    ORDER BY m.flags & {Flag.CONFINED}, m.id LIMIT 1) AS r ON true;

-- name: fence
-- Look at unregistered messages ($1 workspaces, $2 ids) again when all transactions older than this one have ended:
-- one that registers and cannot see them had its number before they were committed, this one when it had seen them.
UPDATE unregistered u SET fence = pg_current_xact_id()
FROM unnest($1::int[], $2::uuid[]) AS n (workspace, message)
WHERE u.workspace = n.workspace AND u.message = n.message;

-- name: forget
-- Unregistered messages ($1 workspaces, $2 ids) need not be looked at any more.
DELETE FROM unregistered u USING unnest($1::int[], $2::uuid[]) AS n (workspace, message)
WHERE u.workspace = n.workspace AND u.message = n.message;
