-- numbers: postmeter.shared.storage.rollups.DayState

-- name: mark
-- Up to $1 days that are to be summed up, those that have been due longest: from now on each change of them is noticed. What
-- comes to nothing is due again in an hour. month: the first day of the month that the day lies in.
WITH due AS (
    SELECT workspace, day FROM activity_day WHERE state < {DayState.SUMMED} AND due <= now()
    ORDER BY due LIMIT $1 FOR UPDATE SKIP LOCKED)
UPDATE activity_day d SET state = {DayState.MARKED}, due = now() + interval '1 hour' FROM due WHERE d.workspace = due.workspace AND d.day = due.day
RETURNING d.workspace, d.day, date_trunc('month', d.day AT TIME ZONE 'UTC')::date AS month;

-- name: fence
-- The number of a transaction that began when all that is committed could be seen.
SELECT pg_current_xact_id()::text::bigint;

-- name: is_behind
-- Whether all transactions that began before transaction $1 have ended.
SELECT $1::bigint <= pg_snapshot_xmin(pg_current_snapshot())::text::bigint;

-- name: forget
-- Take out the sums of day $2 of workspace $1{dimensions}.
DELETE FROM {table} WHERE workspace = $1{dimensions} AND bucket >= $2 AND bucket < $2 + interval '24 hours';

-- name: sum_up
-- Sum up the rows of {finer} of day $2 of workspace $1 by each dimension: {values}, as (its number, a value).
INSERT INTO {table} (workspace, dimension, bucket, value, {columns})
SELECT $1, one.dimension, counted.bucket, one.value, {sums}
FROM {finer} AS counted JOIN series ON series.workspace = $1 AND series.id = counted.series
CROSS JOIN LATERAL ({values}) AS one (dimension, value)
WHERE counted.workspace = $1 AND counted.bucket >= $2 AND counted.bucket < $2 + interval '24 hours' AND counted.series > 0
GROUP BY 2, 3, 4 ORDER BY 2, 3, 4;

-- name: sum_up_links
-- Sum up the clicks by link of day $2 of workspace $1 over all series, which is what the index on (workspace, bucket) has.
INSERT INTO {table} (workspace, bucket, link, {columns})
SELECT $1, bucket, link, {sums} FROM {finer} AS counted
WHERE workspace = $1 AND bucket >= $2 AND bucket < $2 + interval '24 hours' AND series > 0
GROUP BY bucket, link ORDER BY bucket, link;

-- name: settle
-- Day $2 of workspace $1 is now in state $3, unless it has changed since it was marked; whether it is.
UPDATE activity_day SET state = $3 WHERE workspace = $1 AND day = $2 AND state = {DayState.MARKED} RETURNING true;

-- name: series_of
-- How many series of workspace $1 have rows of day $2, $3 at most.
SELECT count(*) FROM (
    SELECT FROM activity_1d WHERE workspace = $1 AND bucket = $2 AND series > 0 LIMIT $3) AS few;

-- name: try_lock
-- Whether this session now sums up days; $1 is the lock.
SELECT pg_try_advisory_lock($1);

-- name: unlock
-- Days are summed up.
SELECT pg_advisory_unlock($1);
