-- name: remove_empty
-- Take out rows that count nothing any more: $1 workspaces, $2 buckets, $3 series. {table}: a tier. {empty}: so it is.
DELETE FROM {table} t USING unnest($1::int[], $2::timestamptz[], $3::bigint[]) AS n (workspace, bucket, series)
WHERE t.workspace = n.workspace AND t.bucket = n.bucket AND t.series = n.series AND {empty};
