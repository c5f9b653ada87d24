-- name: piece
-- Rows of one tier in one piece of the range; {table} and {columns} are names from shared/storage/rollups.py.
SELECT {columns} FROM {table}
WHERE workspace = $1 AND bucket >= {start} AND bucket < {end} AND {series}

-- name: rest
-- Rows of one tier in its bucket {start} without those of it that are not in the range, {without}, by {keys}, as which {read} is
-- read. {everything}: the sum of all counters, which is 0 where nothing is left.
SELECT {number} AS bucket, {keys}, {sums} FROM (
    SELECT {start}::timestamptz AS bucket, {read}, {counters}, {everything} AS everything FROM {table}
    WHERE workspace = $1 AND bucket = {start} AND {series}
    UNION ALL
    {without}) AS part
GROUP BY bucket, {keys} HAVING sum(everything) <> 0

-- name: without
-- Rows of one tier that `rest` leaves out; {negative}: what they take away from {start}.
SELECT {start}::timestamptz AS bucket, {read}, {negative}, - ({everything}) FROM {table}
WHERE workspace = $1 AND bucket >= {low} AND bucket < {high} AND {series}

-- name: moved
-- Rows of one tier that count in one bucket and as often less in the one before: {starts} and {ends} of the stretches,
-- {numbers} of the buckets, {signs}. All lies between {low} and {high}, said once for all so that other partitions are
-- left out. {days}: which stretches, if not all. OFFSET 0: each is looked up by itself; joined to them the whole range
-- would be read.
SELECT moved.number AS bucket, {columns}
FROM unnest({starts}::timestamptz[], {ends}::timestamptz[], {numbers}::int[], {signs}::int[])
    AS stretch (low, high, number, sign){days}
CROSS JOIN LATERAL (
    SELECT * FROM {table} WHERE workspace = $1 AND bucket >= stretch.low AND bucket < stretch.high
        AND bucket >= {low} AND bucket < {high} AND {series}
    OFFSET 0) AS counted
CROSS JOIN LATERAL (VALUES (stretch.number, stretch.sign), (stretch.number - 1, -stretch.sign)) AS moved (number, sign)

-- name: summed
-- The pieces' rows summed up by {columns} before anything is joined to them: many rows have the same.
(SELECT {columns}, {sums} FROM ({pieces}) AS row GROUP BY {groups})

-- name: rollup
-- One row per bucket and group. $1 workspace; the names are declared as data.
SELECT counted.bucket{keys}, {sums}
FROM {pieces} AS counted{joins}
WHERE true{conditions}
GROUP BY {groups}
LIMIT {limit}

-- name: some_text
-- The rows of {rollup} until their groups' texts reach {limit} bytes: one row more than that, so that it shows.
SELECT {columns} FROM (
    SELECT {columns}, sum({text}) OVER (ROWS UNBOUNDED PRECEDING) - ({text}) AS before FROM ({rollup}) AS cell) AS cell
WHERE before <= {limit}

-- name: first
-- The first {limit} of the {rows} in this order, each with the number of all and the bytes of their groups' texts.
SELECT {columns}, count(*) OVER () AS groups, sum({text}) OVER () AS text FROM ({rows}) AS cell
ORDER BY {order} LIMIT {limit}

-- name: given
-- Rows that have been read already, from {arrays}.
SELECT * FROM unnest({arrays}) AS given ({columns})

-- name: total
-- Which rows of a tier, where a query has neither dimensions nor filters: the workspace's sum.
series = 0

-- name: every
-- Which rows of a tier, where a query groups by dimensions but has no filters, or where the tier has no sum of the workspace
-- (rows that say so are of before, and not kept up).
series > 0

-- name: some
-- Which rows of a tier: those of the series that the conditions choose. Not an array of them: how many they are decides
-- whether they are looked up by the index on (workspace, series, bucket) or read among the others, and of an array that a
-- statement makes the planner does not know. series > 0: so the index on (workspace, bucket) says, which has no others.
series > 0 AND series IN (SELECT id FROM series WHERE workspace = $1{conditions})

-- name: series
-- Joined where a query groups by a dimension.
JOIN series ON series.workspace = $1 AND series.id = counted.series
