-- numbers: postmeter.shared.stream.events.Engagement

-- name: chosen_series
-- The series of workspace $1 that the conditions choose; their values are the other parameters.
SELECT coalesce(array_agg(id), '{{}}') FROM series WHERE workspace = $1 AND {conditions}

-- name: days
-- The days from $2 to before $3 in which workspace $1 has messages of series $4 in some states, the latest first, and how many; how
-- many counts were read for it, at most $5; and since when days are kept.
WITH counted AS MATERIALIZED (
    SELECT bucket, {count} AS n FROM cohort_created_1d
    WHERE workspace = $1 AND series = ANY ($4::bigint[]) AND bucket >= $2 AND bucket < $3 LIMIT $5),
day AS MATERIALIZED (SELECT bucket, sum(n)::bigint AS n FROM counted GROUP BY bucket HAVING sum(n) > 0)
SELECT (
    SELECT to_date(min(right(relname, 6)), 'YYYYMM')::timestamp AT TIME ZONE 'UTC'
    FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
    WHERE inhparent = 'cohort_created_1d'::regclass AND relname ~ '^cohort_created_1d_[0-9]{{6}}$') AS kept,
(SELECT count(*) FROM counted) AS read,
array(SELECT bucket FROM day ORDER BY bucket DESC) AS days,
array(SELECT n FROM day ORDER BY bucket DESC) AS counts

-- name: hours
-- The hours of days $2 in which workspace $1 has messages of series $3 in some states, the latest first, and how many; of each day
-- at most $4 counts are read. Day by day: a join reads the whole tier.
SELECT day, date_bin('1 hour', bucket, 'epoch') AS hour, sum(n)::bigint AS n
FROM unnest($2::timestamptz[]) AS span (day), LATERAL (
    SELECT bucket, {count} AS n FROM cohort_created_15m
    WHERE workspace = $1 AND series = ANY ($3::bigint[]) AND bucket >= span.day AND bucket < span.day + interval '24 hours'
    LIMIT $4) AS counted
GROUP BY day, hour HAVING sum(n) > 0 ORDER BY hour DESC

-- name: between
-- Messages that were created from $2 to before $3.
created_at >= $2 AND created_at < $3

-- name: beside
-- Messages that were created at $2, those behind the id $3.
created_at = $2 AND id > $3

-- name: first
-- When a message's first counted engagement of a kind was, or null. Infinite: none of its clicks is a person's. By the
-- primary key, message by message: what other messages' engagements are is not looked at.
(SELECT nullif(at, 'infinity') FROM engagement
    WHERE engagement.workspace = $1 AND engagement.message = examined.id AND kind = {kind})

-- name: walk
-- Of workspace $1, backwards by the index on (workspace, created_at, id DESC): up to $5 messages of a stretch ($2, $3), of series
-- $6 and in states $7 (null: any), for which the condition holds, among its first $4. The row at place $4 comes in any
-- case: it says how far was read. Kinds: 1 open, 2 click.
SELECT *, (SELECT campaign FROM mail WHERE mail.workspace = $1 AND mail.id = chosen.id) AS campaign,
    (SELECT nullif(at, 'infinity') FROM engagement
        WHERE engagement.workspace = $1 AND engagement.message = chosen.id AND kind = {Engagement.OPEN}) AS opened,
    (SELECT nullif(at, 'infinity') FROM engagement
        WHERE engagement.workspace = $1 AND engagement.message = chosen.id AND kind = {Engagement.CLICK}) AS clicked
FROM (
    SELECT *, CASE WHEN ($6::bigint[] IS NULL OR series = ANY ($6)) AND ($7::smallint[] IS NULL OR state = ANY ($7))
        THEN {condition} ELSE false END AS chosen
    FROM (
        SELECT *, row_number() OVER (ORDER BY created_at DESC, id) AS place
        FROM (
            SELECT id, series, state, recipient_ref, to_hash, subject, created_at, sent_at FROM mail
            WHERE workspace = $1 AND {stretch}
            ORDER BY created_at DESC, id LIMIT $4) AS newest) AS examined
    OFFSET 0) AS chosen
WHERE chosen.chosen OR place = $4
LIMIT $5
