-- name: add_{table}
-- Add to counters of {table}: one array for each of {columns}. {key}: those that its rows are of.
INSERT INTO {table} AS known ({columns})
SELECT * FROM unnest({arrays}) AS n ({columns}) ORDER BY {key}
ON CONFLICT ({key}) DO UPDATE SET {sums};

-- name: remove_empty
-- Take out rows that count nothing any more: $1 workspaces, $2 buckets, $3 series. {table}: a tier. {empty}: so it is.
DELETE FROM {table} t USING unnest($1::int[], $2::timestamptz[], $3::bigint[]) AS n (workspace, bucket, series)
WHERE t.workspace = n.workspace AND t.bucket = n.bucket AND t.series = n.series AND {empty};
