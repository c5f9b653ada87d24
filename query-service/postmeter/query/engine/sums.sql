-- numbers: postmeter.shared.storage.rollups.DayState

-- name: summed_piece
-- Sums in one piece of the range, of the days that are summed up. {chosen}: which rows, if not all.
SELECT {columns} FROM {table}
WHERE workspace = $1{chosen} AND bucket >= {start} AND bucket < {end}
    AND date_bin('24 hours', bucket, 'epoch') IN (
        SELECT day FROM activity_day WHERE workspace = $1 AND state = {DayState.SUMMED}
            AND day > {start}::timestamptz - interval '24 hours' AND day < {end})

-- name: changed_piece
-- Rows of one tier in one piece of the range, of the days that are not summed up. OFFSET 0: each day is looked up by itself.
SELECT {columns} FROM activity_day AS changed CROSS JOIN LATERAL (
    SELECT * FROM {table} WHERE workspace = $1 AND bucket >= changed.day AND bucket < changed.day + interval '24 hours'
        AND bucket >= {start} AND bucket < {end} AND {series}
    OFFSET 0) AS counted
WHERE changed.workspace = $1 AND changed.state <> {DayState.SUMMED}
    AND changed.day > {start}::timestamptz - interval '24 hours' AND changed.day < {end}

-- name: summed_moved
-- Sums that count in one bucket and as often less in the one before, as `moved` of engine.sql has it.
SELECT moved.number AS bucket, {columns}
FROM unnest({starts}::timestamptz[], {ends}::timestamptz[], {numbers}::int[], {signs}::int[])
    AS stretch (low, high, number, sign){days}
CROSS JOIN LATERAL (
    SELECT * FROM {table} WHERE workspace = $1{chosen}
        AND bucket >= stretch.low AND bucket < stretch.high AND bucket >= {low} AND bucket < {high}
    OFFSET 0) AS counted
CROSS JOIN LATERAL (VALUES (stretch.number, stretch.sign), (stretch.number - 1, -stretch.sign)) AS moved (number, sign)

-- name: summed_days
-- Joined to stretches, each of which lies in one day: those of days that are summed up.
 JOIN activity_day ON activity_day.workspace = $1 AND activity_day.state = {DayState.SUMMED}
    AND activity_day.day = date_bin('24 hours', stretch.low, 'epoch')

-- name: changed_days
-- The same of days that are not.
 JOIN activity_day ON activity_day.workspace = $1 AND activity_day.state <> {DayState.SUMMED}
    AND activity_day.day = date_bin('24 hours', stretch.low, 'epoch')

-- name: named
-- {rows} of series under the value of the one dimension that is asked for.
SELECT counted.bucket{value}, {counters} FROM {rows} AS counted{joins} WHERE true{conditions}
