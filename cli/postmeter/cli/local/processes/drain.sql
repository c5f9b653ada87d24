-- name: positions
-- Up to where each stream is counted.
SELECT shard, position FROM shard ORDER BY shard
