-- name: add_{rollup}
-- Add to counters of {rollup} in all tiers that keep them: one array for each of {columns}, in buckets of the finest tier;
-- then, for each tier, the oldest bucket that it keeps. {tiers}: what is added to each, from fine to coarse.
WITH n AS MATERIALIZED (SELECT * FROM unnest({arrays}) AS n ({columns})), {tiers}
SELECT;

-- name: add_{table}
-- Add rows of n to {table}, the finest tier. {key}: that its rows are of. {oldest}: the parameter that says the oldest
-- bucket that it keeps. {rows}: n, or `of_series`.
{table} AS (
    INSERT INTO {table} AS known ({columns}) SELECT {key}, {stored} FROM {rows} WHERE bucket >= ${oldest} ORDER BY {places}
    ON CONFLICT ({key}) DO UPDATE SET {sums})

-- name: of_series
-- The rows of n for a tier without totals, which n has in the buckets of the next one. Until no service of the version before runs,
-- which reads totals of this tier, it gets its own.
(SELECT {key}, {counters} FROM n WHERE series <> 0
    UNION ALL
    SELECT workspace, bucket, 0, {sums} FROM n WHERE series <> 0 AND postmeter_totals_of_seconds()
    GROUP BY workspace, bucket) AS n

-- name: add_to_{table}
-- Add what rows of n sum up to in the buckets of {table}, of {seconds} seconds. Also where that is nothing: something has moved
-- inside of a bucket, and who sums its day up is to be told (ADR 0063).
{table} AS (
    INSERT INTO {table} AS known ({columns})
    SELECT workspace, date_bin('{seconds} seconds', bucket, 'epoch'), {others}, {stored} FROM n
    WHERE date_bin('{seconds} seconds', bucket, 'epoch') >= ${oldest}
    GROUP BY {places} ORDER BY {places}
    ON CONFLICT ({key}) DO UPDATE SET {sums})

-- name: remove_empty
-- Take out rows that count nothing any more: $1 workspaces, $2 buckets, $3 series. {table}: a tier. {empty}: so it is.
DELETE FROM {table} t USING unnest($1::int[], $2::timestamptz[], $3::bigint[]) AS n (workspace, bucket, series)
WHERE t.workspace = n.workspace AND t.bucket = n.bucket AND t.series = n.series AND {empty};
