-- name: put_aside
-- Dead letters: $1 workspaces, $2 shards, $3 batches, $4 reasons, $5 records.
INSERT INTO dead_letter (workspace, shard, batch, reason, record)
SELECT * FROM unnest($1::int[], $2::int[], $3::text[], $4::text[], $5::bytea[]);

-- name: count_dead_letters
-- How many dead letters workspace $1 has, counted up to $2.
SELECT count(*) FROM (SELECT FROM dead_letter WHERE workspace = $1 LIMIT $2) AS held;
