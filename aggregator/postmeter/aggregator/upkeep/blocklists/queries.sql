-- name: try_lock
-- Whether this session now looks sending IPs up; $1 is the lock.
SELECT pg_try_advisory_lock($1);

-- name: unlock
-- The round is over.
SELECT pg_advisory_unlock($1);

-- name: now
-- The database's clock, by which look-ups are due.
SELECT clock_timestamp();

-- name: due
-- Up to $3 sending IPs not looked up since $2 seconds before $1, those never looked up first.
SELECT workspace, ip FROM sending_ip
WHERE attempted_at IS NULL OR attempted_at <= $1::timestamptz - $2::float8 * interval '1 second'
ORDER BY attempted_at NULLS FIRST LIMIT $3;

-- name: store
-- IPs $2 of workspaces $1 have been looked up in zones $3. What was answered: IPs $4, zones $5, whether listed $6.
-- A zone that said nothing about an IP keeps its last word; one that is not asked any more has none.
WITH answer AS (SELECT * FROM unnest($4::inet[], $5::text[], $6::bool[]) AS a (ip, zone, listed))
UPDATE sending_ip s SET attempted_at = clock_timestamp(),
    checked_at = CASE WHEN EXISTS (SELECT FROM answer a WHERE a.ip = s.ip) THEN clock_timestamp()
        ELSE s.checked_at END,
    listed_in = array(
        SELECT z.zone FROM unnest($3::text[]) AS z (zone) LEFT JOIN answer a ON a.ip = s.ip AND a.zone = z.zone
        WHERE coalesce(a.listed, z.zone = ANY (s.listed_in)) ORDER BY z.zone)
FROM unnest($1::int[], $2::inet[]) AS n (workspace, ip)
WHERE s.workspace = n.workspace AND s.ip = n.ip;

-- name: totals
-- How many sending IPs of all workspaces are listed somewhere, and when one was last looked up.
SELECT count(*) FILTER (WHERE listed_in <> '{}') AS listed, max(checked_at) AS checked_at FROM sending_ip;
