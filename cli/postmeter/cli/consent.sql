-- name: place
-- The number of the workspace with the public id $1, and how many shards are counted.
SELECT number, (SELECT count(*)::int FROM shard) AS shards FROM workspace WHERE id = $1
