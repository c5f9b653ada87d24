-- name: try_retention_lock
-- Whether this session now does the retention; $1 is the lock.
SELECT pg_try_advisory_lock($1);

-- name: retention_unlock
-- The retention is done.
SELECT pg_advisory_unlock($1);

-- name: today
-- The day by the server's clock.
SELECT (now() AT TIME ZONE 'UTC')::date;

-- name: partitions_of
-- Names of the partitions of table $1; none where the table is not there.
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass($1);

-- name: drop_waiting
-- Forget events that wait since before $1, a day.
DELETE FROM waiting WHERE since < $1::date::timestamp AT TIME ZONE 'UTC';

-- name: drop_dead_letters
-- Forget dead letters of before $1, a day.
DELETE FROM dead_letter WHERE at < $1::date::timestamp AT TIME ZONE 'UTC';

-- name: drop_subjects
-- Forget subjects that only messages of before $1 had, which are dropped.
DELETE FROM subject WHERE until < $1::date::timestamp AT TIME ZONE 'UTC';
