-- name: counters
-- Everything that workspace $1 has counted since it began: of the series that is the sum of all, a row a day.
SELECT {sums} FROM activity_1d WHERE workspace = $1 AND series = 0

-- name: series
-- Campaign and domain of the series $2 of workspace $1.
SELECT id, campaign, domain FROM series WHERE workspace = $1 AND id = ANY ($2::bigint[])
