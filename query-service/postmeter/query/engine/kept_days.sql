-- numbers: postmeter.shared.storage.rollups.DayState

-- name: first_unsettled
-- The first day of workspace $1 from $2 on that has changed and is not settled again.
SELECT min(day) FROM activity_day WHERE workspace = $1 AND day >= $2 AND state < {DayState.SUMMED}

-- name: days
-- What days [{low}, {high}) are like: another text as soon as one of them has changed, null while one is not settled. A day's row is
-- written anew, under another transaction and at another time, whenever the day is summed up or changed; workspace 0's version
-- tells of what no day does: migrations, months that are dropped, links that lose their URL.
SELECT CASE WHEN coalesce(bool_and(state >= {DayState.SUMMED}), true) THEN concat_ws(
    ' ', count(*), md5(string_agg(concat_ws(' ', day, xmin, due), ',' ORDER BY day)),
    (SELECT sum(version) FROM answer_version WHERE workspace = 0)) END AS days
FROM activity_day WHERE workspace = $1 AND day >= {low} AND day < {high}

-- name: with_days
-- {days} in a row of its own, of nulls ({nulls}) behind it; the others are {rows}, with a null before each.
SELECT days, {nulls} FROM ({days}) AS days UNION ALL SELECT NULL, cell.* FROM ({rows}) AS cell
