-- name: piece
-- Rows of one tier in one piece of the range; {table} and {counters} are names from shared/rollups.py.
SELECT series, bucket, {counters} FROM {table}
WHERE workspace = $1 AND bucket >= {start} AND bucket < {end}

-- name: rollup
-- One row per bucket and group. $1 workspace, $2 the buckets' first instants; the names are from rollups.py.
SELECT width_bucket(activity.bucket, $2::timestamptz[]) AS bucket{keys}, {sums}
FROM ({pieces}) AS activity{series}
WHERE true{conditions}
GROUP BY 1{keys}
LIMIT {limit}

-- name: series
-- Joined where a query groups or filters by a dimension.
JOIN series ON series.workspace = $1 AND series.id = activity.series

-- name: condition
-- Keeps the groups whose {column} is one of the values in a parameter.
AND series.{column} = ANY ({values}::text[])
