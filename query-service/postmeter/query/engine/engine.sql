-- name: piece
-- Rows of one tier in one piece of the range; {table} and {columns} are names from shared/rollups.py.
SELECT {columns} FROM {table}
WHERE workspace = $1 AND bucket >= {start} AND bucket < {end} AND {series}

-- name: rollup
-- One row per bucket and group. $1 workspace, $2 the buckets' first instants; the names are declared as data.
SELECT width_bucket(counted.bucket, $2::timestamptz[]) AS bucket{keys}, {sums}
FROM ({pieces}) AS counted{joins}
WHERE true{conditions}
GROUP BY {groups}
LIMIT {limit}

-- name: some_text
-- The rows of {rollup} until their groups' texts reach {limit} bytes: one row more than that, so that it shows.
SELECT {columns} FROM (
    SELECT {columns}, sum({text}) OVER (ROWS UNBOUNDED PRECEDING) - ({text}) AS before FROM ({rollup}) AS cell) AS cell
WHERE before <= {limit}

-- name: total
-- Which rows of a tier, where a query has neither dimensions nor filters: the workspace's sum.
series = 0

-- name: every
-- Which rows of a tier, where a query groups by dimensions but has no filters.
series > 0

-- name: some
-- Which rows of a tier: those of the series that the conditions choose. An array, so that they are looked up by
-- the index on (workspace, series, bucket) however many rows others have.
series = ANY (ARRAY(SELECT id FROM series WHERE workspace = $1{conditions}))

-- name: series
-- Joined where a query groups by a dimension.
JOIN series ON series.workspace = $1 AND series.id = counted.series
