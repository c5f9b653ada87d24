-- name: days
-- Days of workspace $1 in which messages of the chosen series and states were created and are still kept, newest first.
SELECT bucket, sum({count})::bigint AS n FROM cohort_created_1d
WHERE workspace = $1 AND {series} AND bucket >= (
    -- Messages are dropped by the month, their counts are kept for longer.
    SELECT coalesce(to_date(min(right(relname, 6)), 'YYYYMM')::timestamp AT TIME ZONE 'UTC', '-infinity')
    FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
    WHERE inhparent = 'message'::regclass AND relname ~ '^message_[0-9]{{6}}$')
GROUP BY bucket HAVING sum({count}) > 0
ORDER BY bucket DESC

-- name: finer
-- The same by the buckets of a finer tier, inside the spans [$2, $3); place is the span's, from 1. Span by span: a join
-- reads the whole tier.
SELECT span.place, cell.bucket, cell.n
FROM unnest($2::timestamptz[], $3::timestamptz[]) WITH ORDINALITY AS span (low, high, place), LATERAL (
    SELECT bucket, sum({count})::bigint AS n FROM {table}
    WHERE workspace = $1 AND {series} AND bucket >= span.low AND bucket < span.high
    GROUP BY bucket HAVING sum({count}) > 0) AS cell
ORDER BY cell.bucket DESC

-- name: page
-- Up to $5 messages of workspace $1 created in the spans [$2, $3), after the first $4, newest first; $6 the states,
-- $7 the series, null for all.
SELECT id, provider_account, from_address, to_hash, subject, state, tags, provider_message, created_at, sent_at,
    delivered_at
FROM unnest($2::timestamptz[], $3::timestamptz[]) AS span (low, high), LATERAL (
    SELECT * FROM mail
    WHERE workspace = $1 AND created_at >= span.low AND created_at < span.high
        AND ($6::smallint[] IS NULL OR state = ANY ($6)) AND ($7::bigint[] IS NULL OR series = ANY ($7))
    ORDER BY created_at DESC, id DESC LIMIT $4::bigint + $5::bigint) AS newest
ORDER BY created_at DESC, id DESC OFFSET $4 LIMIT $5

-- name: subjects
-- Keys of the subjects of workspace $1 that hold $2 in any case, up to $3 and one; null where not all subjects are kept.
SELECT CASE WHEN NOT EXISTS (SELECT FROM subject_excess WHERE workspace = $1) THEN array(
    SELECT key FROM subject WHERE workspace = $1 AND {holding} LIMIT $3::int + 1) END

-- name: holding
-- A subject that holds $2.
strpos(upper(subject COLLATE "{collation}"), upper($2::text COLLATE "{collation}")) > 0

-- name: keyed
-- A message's subject that has one of the keys $2: by the index on this expression.
hashtextextended(subject, workspace) = ANY ($2::bigint[])

-- name: of_series
-- Messages of workspace $1 that are of series $6, read without a look at any subject: from the days in which some of these
-- were created, those that follow each other as one.
(SELECT min(bucket) AS low, max(bucket) + interval '24 hours' AS high FROM (
    SELECT bucket, bucket - row_number() OVER (ORDER BY bucket) * interval '24 hours' AS stretch FROM (
        SELECT bucket FROM cohort_created_1d WHERE workspace = $1 AND series = ANY ($6::bigint[])
        GROUP BY bucket HAVING sum({count}) > 0) AS own) AS day GROUP BY stretch) AS days, LATERAL (
    SELECT * FROM message AS one
    WHERE one.workspace = $1 AND one.created_at >= days.low AND one.created_at < days.high
        AND one.series = ANY ($6::bigint[]) OFFSET 0) AS message

-- name: search
-- Of {messages} those of workspace $1 with the subjects ($2) wanted, after the first $3 up to $4, newest first, each row with
-- the number of all; $5 the states, $6 the series, null for all. At least one row, of nulls beside the number.
WITH found AS MATERIALIZED (
    SELECT id, created_at FROM {messages}
    WHERE workspace = $1 AND {wanted}
        AND ($5::smallint[] IS NULL OR state = ANY ($5)) AND ($6::bigint[] IS NULL OR series = ANY ($6))),
chosen AS (SELECT id FROM found ORDER BY created_at DESC, id DESC OFFSET $3 LIMIT $4)
SELECT counted.total, message.id, provider_account, from_address, to_hash, subject, state, tags, provider_message,
    created_at, sent_at, delivered_at
FROM (SELECT count(*) AS total FROM found) AS counted
LEFT JOIN (chosen JOIN mail AS message ON message.workspace = $1 AND message.id = chosen.id) ON true
ORDER BY created_at DESC, message.id DESC

-- name: collations
-- Of the collations $1 the first one here that knows the letters of all languages.
SELECT wanted.name FROM unnest($1::text[]) WITH ORDINALITY AS wanted (name, place)
JOIN pg_collation ON collname = wanted.name
    AND collencoding IN (-1, (SELECT encoding FROM pg_database WHERE datname = current_database()))
ORDER BY wanted.place LIMIT 1

-- name: series
-- The series of workspace $1 whose domain is among $2.
SELECT coalesce(array_agg(id), '{}') FROM series WHERE workspace = $1 AND domain = ANY ($2::text[])

-- name: message
-- Message $2 of workspace $1, if its domain is among $3 or that is null.
SELECT id, from_address, subject, state, message.tags, created_at
FROM mail AS message
WHERE workspace = $1 AND id = $2 AND ($3::text[] IS NULL OR EXISTS (
    SELECT FROM series WHERE series.workspace = $1 AND series.id = message.series AND domain = ANY ($3)))

-- name: history
-- The latest $3 events of message $2 of workspace $1, the latest first; neither types $4 nor hits with verdict $5 nor
-- what does not count.
SELECT type, at FROM history
WHERE workspace = $1 AND message = $2 AND postmeter_place(workspace, message) = postmeter_place($1, $2)
    AND type <> ALL ($4::smallint[]) AND verdict IS DISTINCT FROM $5 AND counted
ORDER BY postmeter_second(at) DESC, at DESC, type DESC LIMIT $3
