-- name: enlist
-- Make the rows of $1 shards that are not there yet.
INSERT INTO shard (shard) SELECT generate_series(0, $1::int - 1) ON CONFLICT DO NOTHING;

-- name: listing
-- All shards, whether an aggregator holds them, and up to where they are counted.
SELECT shard, coalesce(lease_until > clock_timestamp(), false) AS held, position FROM shard ORDER BY shard LIMIT 1024;
