-- name: enlist
-- Make the rows of $1 shards that are not there yet. For one that is there ON CONFLICT would wait for whoever is just moving it.
INSERT INTO shard (shard) SELECT n FROM generate_series(0, $1::int - 1) AS n
WHERE NOT EXISTS (SELECT FROM shard s WHERE s.shard = n) ON CONFLICT DO NOTHING;

-- name: heartbeat
-- Aggregator $1 lives.
INSERT INTO aggregator (id, seen_at) VALUES ($1, clock_timestamp())
ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp();

-- name: leave
-- Aggregator $1 has stopped; those silent for an hour are forgotten with it.
DELETE FROM aggregator WHERE id = $1 OR seen_at < clock_timestamp() - interval '1 hour';

-- name: share
-- How many shards there are, and the aggregators seen within $1 seconds, in order. Who was seen later than now was seen by
-- another clock, that of the server before this one, and may be long dead.
SELECT (SELECT count(*) FROM shard) AS shards,
       array(SELECT id FROM aggregator WHERE seen_at BETWEEN clock_timestamp() - $1::float8 * interval '1 second'
                 AND clock_timestamp() + $1::float8 * interval '1 second'
             ORDER BY id) AS living;

-- name: renew
-- Keep the shards of aggregator $1 for another $2 seconds.
UPDATE shard SET lease_until = clock_timestamp() + $2::float8 * interval '1 second'
WHERE owner = $1 RETURNING shard, epoch;

-- name: acquire
-- Lease up to $3 shards that nobody holds to aggregator $1 for $2 seconds; each one's epoch rises.
-- Its own, where the lease ran out because it slept, it counts already: `renew` keeps them. One that runs for longer than any
-- does was given by a clock that was ahead of this one, and may be of who is dead.
UPDATE shard SET owner = $1, epoch = shard.epoch + 1,
    lease_until = clock_timestamp() + $2::float8 * interval '1 second'
FROM (SELECT shard, owner FROM shard WHERE owner IS NULL OR (owner <> $1 AND lease_until NOT BETWEEN clock_timestamp()
          AND clock_timestamp() + 2 * $2::float8 * interval '1 second')
      ORDER BY shard LIMIT $3 FOR UPDATE SKIP LOCKED) AS free
WHERE shard.shard = free.shard
RETURNING shard.shard, shard.epoch, shard.position, free.owner AS previous;

-- name: release
-- Aggregator $2 gives shard $1 back, if it still holds it under epoch $3.
UPDATE shard SET owner = NULL, lease_until = NULL WHERE shard = $1 AND owner = $2 AND epoch = $3;

-- name: positions
-- Where shards $1 stand, as far as their epochs are still $2.
SELECT s.shard, s.position FROM shard s JOIN unnest($1::int[], $2::bigint[]) AS n (shard, epoch) USING (shard, epoch);

-- name: advance
-- Move shards $1 under epochs $2 from positions $3 to $4, in their order; somebody else owns those that are not returned.
WITH held AS (
    SELECT s.shard, n.moved FROM shard s
    JOIN unnest($1::int[], $2::bigint[], $3::text[], $4::text[]) AS n (shard, epoch, position, moved)
        USING (shard, epoch, position)
    ORDER BY s.shard FOR UPDATE OF s)
UPDATE shard s SET position = held.moved FROM held WHERE s.shard = held.shard RETURNING s.shard;
