-- name: ordering
-- Held to the end of the transaction by whoever orders for workspace $2, so that its open jobs are counted one by one.
SELECT pg_advisory_xact_lock($1, $2)

-- name: order
-- Put job $2 of workspace $1 into the table, unless that has $7 open ones; $3 type, $4 format, $5 order, $6 domains, $8
-- estimate in seconds. before: work ahead of it: its workspace's own, and one job's of each other workspace.
INSERT INTO export (workspace, id, type, format, parameters, domains, estimate)
SELECT $1, $2, $3, $4, $5, $6, $8
WHERE (SELECT count(*) FROM export WHERE workspace = $1 AND status = 'processing') < $7
RETURNING created_at, (
    SELECT coalesce(sum(work), 0)::float FROM (
        SELECT CASE workspace WHEN $1 THEN sum(estimate) ELSE avg(estimate) END AS work
        FROM export WHERE status = 'processing' GROUP BY workspace) AS ahead) AS before

-- name: find
-- Export $2 of workspace $1, if it holds nothing but domains $3 (null: all may be seen).
SELECT id, format, status, progress, error, file, file_size_bytes, created_at, completed_at, expires_at,
    coalesce(expires_at <= now(), false) AS expired
FROM export WHERE workspace = $1 AND id = $2 AND ($3::text[] IS NULL OR domains <@ $3::text[])

-- name: latest
-- The $3 latest exports of workspace $1, of those that hold nothing but domains $2 (null: all may be seen).
SELECT id, type, format, status, progress, error, file, file_size_bytes, created_at, completed_at, expires_at,
    coalesce(expires_at <= now(), false) AS expired
FROM export WHERE workspace = $1 AND ($2::text[] IS NULL OR domains <@ $2::text[])
ORDER BY created_at DESC, id LIMIT $3

-- name: file
-- The file of export $2 of the workspace with the public id $1, while it may be downloaded, and key or user $3 may see it.
SELECT export.format, export.file FROM workspace w JOIN export ON export.workspace = w.number
WHERE w.id = $1 AND export.id = $2 AND export.status = 'completed' AND export.expires_at > now() AND (
    EXISTS (SELECT FROM api_key k WHERE k.id = $3 AND k.workspace = w.number AND k.revoked_at IS NULL)
    OR EXISTS (
        SELECT FROM user_account u WHERE u.workspace = w.number AND 'user:' || u.id = $3 AND u.disabled_at IS NULL
            AND (u.domains IS NULL OR export.domains <@ u.domains)))

-- name: taking
-- Held to the end of the transaction by whoever takes a job, so that no two take jobs of one workspace.
SELECT pg_advisory_xact_lock($1)

-- name: take
-- Lease an open job for $1 seconds that had fewer than $2 attempts: the oldest of the workspace that has nothing at work
-- and waits longest, since its order or since it was served last. A job that waits for its next attempt is at work.
UPDATE export SET attempt = attempt + 1, lease_until = now() + make_interval(secs => $1), taken_at = now()
WHERE (workspace, id) = (
    SELECT open.workspace, open.id FROM export AS open
    WHERE open.status = 'processing' AND coalesce(open.lease_until <= now(), true)
        AND open.attempt - open.given_back < $2
        AND NOT EXISTS (
            SELECT FROM export AS other
            WHERE other.workspace = open.workspace AND other.status = 'processing' AND other.lease_until > now())
    ORDER BY greatest(
            open.created_at,
            (SELECT max(taken_at) FROM export AS other WHERE other.workspace = open.workspace AND taken_at IS NOT NULL)),
        open.created_at, open.id
    LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING workspace, id, parameters, attempt, attempt - given_back AS tries, created_at

-- name: kept
-- Bytes of workspace $1's files that are not yet removed.
SELECT coalesce(sum(file_size_bytes), 0)::bigint FROM export WHERE workspace = $1 AND removed_at IS NULL

-- name: renew
-- Keep job $2 of workspace $1 under attempt $3 for $4 seconds more, at $5 percent; no row where it was lost.
UPDATE export SET lease_until = now() + make_interval(secs => $4), progress = greatest(progress, $5)
WHERE workspace = $1 AND id = $2 AND attempt = $3 AND status = 'processing' AND lease_until > now()
RETURNING id

-- name: complete
-- Link job $2 of workspace $1 to file $4 of $5 bytes, kept for $6 seconds; no row where attempt $3 has lost it.
UPDATE export SET status = 'completed', progress = 100, file = $4, file_size_bytes = $5, completed_at = now(),
    expires_at = now() + make_interval(secs => $6), lease_until = NULL, error = NULL
WHERE workspace = $1 AND id = $2 AND attempt = $3 AND status = 'processing' AND lease_until > now()
RETURNING id

-- name: fail
-- End job $2 of workspace $1 for reason $4, unless attempt $3 has lost it; leftovers are looked for in $5 seconds.
UPDATE export SET status = 'failed', error = $4, lease_until = NULL, expires_at = now() + make_interval(secs => $5)
WHERE workspace = $1 AND id = $2 AND attempt = $3 AND status = 'processing'
RETURNING id

-- name: put_off
-- Let others try job $2 of workspace $1 in $5 seconds, after attempt $3 failed for reason $4.
UPDATE export SET lease_until = now() + make_interval(secs => $5), error = $4
WHERE workspace = $1 AND id = $2 AND attempt = $3 AND status = 'processing'

-- name: give_back
-- Let others have job $2 of workspace $1 at once; attempt $3 ends because its worker is stopped, and counts for nothing.
UPDATE export SET lease_until = NULL, given_back = given_back + 1
WHERE workspace = $1 AND id = $2 AND attempt = $3 AND status = 'processing'

-- name: give_up
-- End the jobs that had $1 attempts and are at work nowhere, for the last known reason or else $2; $3 as in fail.
UPDATE export SET status = 'failed', error = coalesce(error, $2), lease_until = NULL,
    expires_at = now() + make_interval(secs => $3)
WHERE status = 'processing' AND attempt - given_back >= $1 AND coalesce(lease_until <= now(), true)
RETURNING id, error

-- name: expire
-- Up to $1 exports whose time is over and whose files are still to be removed; nobody gets a link to them any more.
UPDATE export SET status = CASE status WHEN 'completed' THEN 'expired' ELSE status END, file = NULL
WHERE (workspace, id) IN (
    SELECT workspace, id FROM export WHERE expires_at <= now() AND removed_at IS NULL
    ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING workspace, id, format, attempt

-- name: removed
-- The files of export $2 of workspace $1 are gone.
UPDATE export SET removed_at = now() WHERE workspace = $1 AND id = $2

-- name: forget
-- Up to $2 rows whose files were removed more than $1 days ago.
DELETE FROM export WHERE (workspace, id) IN (
    SELECT workspace, id FROM export WHERE removed_at < now() - make_interval(days => $1)
    ORDER BY removed_at LIMIT $2)

-- name: open
-- How many jobs are open.
SELECT count(*) FROM export WHERE status = 'processing'
