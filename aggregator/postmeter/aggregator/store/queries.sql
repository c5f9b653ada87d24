-- name: enlist
-- Make the rows of $1 shards that are not there yet.
INSERT INTO shard (shard) SELECT generate_series(0, $1::int - 1) ON CONFLICT DO NOTHING;

-- name: heartbeat
-- Aggregator $1 lives.
INSERT INTO aggregator (id, seen_at) VALUES ($1, clock_timestamp())
ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp();

-- name: leave
-- Aggregator $1 has stopped; those silent for an hour are forgotten with it.
DELETE FROM aggregator WHERE id = $1 OR seen_at < clock_timestamp() - interval '1 hour';

-- name: share
-- How many shards there are, and the aggregators seen within $1 seconds, in order.
SELECT (SELECT count(*) FROM shard) AS shards,
       array(SELECT id FROM aggregator WHERE seen_at > clock_timestamp() - $1::float8 * interval '1 second'
             ORDER BY id) AS living;

-- name: renew
-- Keep the shards of aggregator $1 for another $2 seconds.
UPDATE shard SET lease_until = clock_timestamp() + $2::float8 * interval '1 second'
WHERE owner = $1 RETURNING shard, epoch;

-- name: acquire
-- Lease up to $3 shards that nobody holds to aggregator $1 for $2 seconds; each one's epoch rises.
UPDATE shard SET owner = $1, epoch = shard.epoch + 1,
    lease_until = clock_timestamp() + $2::float8 * interval '1 second'
FROM (SELECT shard, owner FROM shard WHERE owner IS NULL OR lease_until < clock_timestamp()
      ORDER BY shard LIMIT $3 FOR UPDATE SKIP LOCKED) AS free
WHERE shard.shard = free.shard
RETURNING shard.shard, shard.epoch, shard.position, free.owner AS previous;

-- name: release
-- Aggregator $2 gives shard $1 back, if it still holds it under epoch $3.
UPDATE shard SET owner = NULL, lease_until = NULL WHERE shard = $1 AND owner = $2 AND epoch = $3;

-- name: position
-- Where shard $1 stands, if its epoch is still $2.
SELECT position FROM shard WHERE shard = $1 AND epoch = $2;

-- name: advance
-- Move shard $1 under epoch $2 from position $3 to $4; no row means that somebody else owns it.
UPDATE shard SET position = $4 WHERE shard = $1 AND epoch = $2 AND position = $3 RETURNING shard;

-- name: claim
-- Keys ($1 workspaces, $2 keys, $3 digests) not counted before, in any day kept; remembered under today.
INSERT INTO dedup (workspace, key, day, digest)
SELECT n.workspace, n.key, date_trunc('day', now()), n.digest
FROM unnest($1::int[], $2::bytea[], $3::bytea[]) AS n (workspace, key, digest)
WHERE NOT EXISTS (SELECT FROM dedup d WHERE d.workspace = n.workspace AND d.key = n.key)
ORDER BY n.workspace, n.key
ON CONFLICT DO NOTHING RETURNING workspace, key;

-- name: digests
-- The digests under which keys ($1 workspaces, $2 keys) were counted.
SELECT d.workspace, d.key, d.digest
FROM unnest($1::int[], $2::bytea[]) AS n (workspace, key)
JOIN dedup d ON d.workspace = n.workspace AND d.key = n.key;

-- name: put_aside
-- Dead letters: $1 workspaces, $2 shard, $3 batches, $4 reasons, $5 records.
INSERT INTO dead_letter (workspace, shard, batch, reason, record)
SELECT n.workspace, $2, n.batch, n.reason, n.record
FROM unnest($1::int[], $3::text[], $4::text[], $5::bytea[]) AS n (workspace, batch, reason, record);

-- name: count_dead_letters
-- How many dead letters workspace $1 has, counted up to $2.
SELECT count(*) FROM (SELECT FROM dead_letter WHERE workspace = $1 LIMIT $2) AS held;

-- name: make_domains
-- Sending domains: $1 workspaces, $2 names, $3 ids; those known stay as they are.
INSERT INTO domain (workspace, name, id)
SELECT * FROM unnest($1::int[], $2::text[], $3::uuid[]) AS n (workspace, name, id) ORDER BY 1, 2
ON CONFLICT DO NOTHING;

-- name: make_campaigns
-- Campaigns: $1 workspaces, $2 ids, $3 names, $4 times of naming; the latest name stays.
INSERT INTO campaign (workspace, id, name, named_at)
SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::timestamptz[]) AS n (workspace, id, name, named_at)
ORDER BY 1, 2
ON CONFLICT (workspace, id) DO UPDATE SET name = excluded.name, named_at = excluded.named_at
WHERE (excluded.named_at, excluded.name) > (campaign.named_at, campaign.name);

-- name: claim_campaigns
-- Keys that are confined to domains $3 put mail of them into campaigns $2 of workspaces $1 and called these $4 at $5. Not
-- where the campaign has mail of the domain that somebody else put there.
INSERT INTO confined_campaign AS known (workspace, id, domain, name, named_at)
SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
    AS n (workspace, id, domain, name, named_at)
WHERE EXISTS (SELECT FROM confined_campaign c WHERE c.workspace = n.workspace AND c.id = n.id AND c.domain = n.domain)
    OR NOT EXISTS (
        SELECT FROM series s WHERE s.workspace = n.workspace AND s.campaign = n.id AND s.domain = n.domain)
ORDER BY 1, 2, 3
ON CONFLICT (workspace, id, domain) DO UPDATE SET name = excluded.name, named_at = excluded.named_at
WHERE (excluded.named_at, excluded.name) > (known.named_at, known.name);

-- name: admit_campaigns
-- Somebody who is not confined put mail of domains $3 into campaigns $2 of workspaces $1.
DELETE FROM confined_campaign c USING unnest($1::int[], $2::text[], $3::text[]) AS n (workspace, id, domain)
WHERE c.workspace = n.workspace AND c.id = n.id AND c.domain = n.domain;

-- name: find_series
-- Series by $1 workspaces, $2 campaigns, $3 domains, $4 providers, $5 templates, $6 tags as JSON, $7 mailbox
-- providers, in that order.
SELECT s.id
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) WITH ORDINALITY
    AS n (workspace, campaign, domain, provider, template, tags, mailbox_provider, place)
LEFT JOIN series s ON s.workspace = n.workspace AND s.campaign = n.campaign AND s.domain = n.domain
    AND s.provider = n.provider AND s.template = n.template
    AND s.tags = array(SELECT jsonb_array_elements_text(n.tags::jsonb)) AND s.mailbox_provider = n.mailbox_provider
ORDER BY n.place;

-- name: make_series
-- Series of the same parameters as find_series; those known stay as they are.
INSERT INTO series (workspace, campaign, domain, provider, template, tags, mailbox_provider)
SELECT workspace, campaign, domain, provider, template, array(SELECT jsonb_array_elements_text(tags::jsonb)),
    mailbox_provider
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
    AS n (workspace, campaign, domain, provider, template, tags, mailbox_provider)
ORDER BY workspace, campaign, domain, provider, template, tags, mailbox_provider
ON CONFLICT DO NOTHING;

-- name: count_series
-- How many series workspace $1 has.
SELECT count(*) FROM series WHERE workspace = $1;

-- name: make_messages
-- Messages not known before, column by column; the first registration wins.
INSERT INTO message (workspace, id, series, campaign, from_address, to_hash, to_domain, subject, provider,
    provider_account, provider_message, template, tags, created_at,
    flags, links, domain, recipient_ref)
SELECT workspace, id, series, campaign, from_address, to_hash, to_domain, subject, provider,
    provider_account, provider_message, template, array(SELECT jsonb_array_elements_text(tags::jsonb)), created_at,
    flags, links, domain, recipient_ref
FROM unnest($1::int[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::timestamptz[], $15::smallint[], $16::int[],
    $17::text[], $18::text[])
    AS n (workspace, id, series, campaign, from_address, to_hash, to_domain, subject, provider,
    provider_account, provider_message, template, tags, created_at,
    flags, links, domain, recipient_ref)
ORDER BY workspace, id
ON CONFLICT DO NOTHING RETURNING workspace, id, series, provider, provider_message;

-- name: find_provider_messages
-- Messages by $1 workspaces, $2 providers, $3 the providers' ids; of several a registered one, the smallest id. Beside
-- them, for each domain in confined_to, one that a key which is confined to it registered.
SELECT DISTINCT ON (m.workspace, m.provider, m.provider_message, confined_to)
    m.workspace, m.provider, m.provider_message, m.id, m.series, m.flags & 4 <> 0 AS provisional,
    CASE WHEN m.flags & 8 <> 0 THEN m.domain END AS confined_to
FROM unnest($1::int[], $2::text[], $3::text[]) AS n (workspace, provider, provider_message)
JOIN message m ON m.workspace = n.workspace AND m.provider = n.provider
    AND m.provider_message = n.provider_message AND m.provider_message <> ''
ORDER BY m.workspace, m.provider, m.provider_message, confined_to, m.flags & 4, m.id;

-- name: park
-- Events of unknown messages: $1 workspaces, $2 messages or null, $3 providers, $4 their ids, $5 records, $6 recipients
-- of those that name nothing else: they are looked at when registrations of the same minute are counted.
INSERT INTO waiting (workspace, message, provider, provider_message, record, to_hash, look_at)
SELECT n.*, CASE WHEN n.to_hash <> '' THEN clock_timestamp() + interval '1 minute' END
FROM unnest($1::int[], $2::uuid[], $3::text[], $4::text[], $5::bytea[], $6::text[])
    AS n (workspace, message, provider, provider_message, record, to_hash);

-- name: count_waiting
-- How many events of workspace $1 wait, counted up to $2.
SELECT count(*) FROM (SELECT FROM waiting WHERE workspace = $1 LIMIT $2) AS held;

-- name: release_messages
-- Take out the events that wait for messages $2 of workspaces $1.
DELETE FROM waiting w USING unnest($1::int[], $2::uuid[]) AS n (workspace, message)
WHERE w.workspace = n.workspace AND w.message = n.message RETURNING w.record;

-- name: release_provider_messages
-- Take out the events that wait for the messages that providers $2 of workspaces $1 call $3.
DELETE FROM waiting w USING unnest($1::int[], $2::text[], $3::text[]) AS n (workspace, provider, provider_message)
WHERE w.message IS NULL AND w.workspace = n.workspace AND w.provider = n.provider
    AND w.provider_message = n.provider_message
RETURNING w.record;

-- name: look_through
-- Up to $4 events that wait, younger than $1 seconds and behind the one of time $2 and id $3, in that order, and whether
-- their message has become known elsewhere meanwhile. One by one: read whole, the messages of a provider may be all there
-- are.
SELECT e.id, e.since, by_id.known OR by_name.known AS known
FROM (
    SELECT * FROM waiting
    WHERE since > clock_timestamp() - $1::float8 * interval '1 second' AND (since, id) > ($2::timestamptz, $3::bigint)
    ORDER BY since, id LIMIT $4) AS e
LEFT JOIN LATERAL (
    SELECT true AS known FROM message m WHERE m.workspace = e.workspace AND m.id = e.message LIMIT 1) AS by_id ON true
LEFT JOIN LATERAL (
    SELECT true AS known FROM message m
    WHERE e.message IS NULL AND m.workspace = e.workspace AND m.provider = e.provider
        AND m.provider_message = e.provider_message AND m.provider_message <> '' AND m.flags & 8 = 0
    LIMIT 1) AS by_name ON true
ORDER BY e.since, e.id;

-- name: take_known
-- Take out those of events $1 that nobody else is just taking out.
DELETE FROM waiting WHERE id IN (SELECT id FROM waiting WHERE id = ANY ($1::bigint[]) FOR UPDATE SKIP LOCKED)
RETURNING record;

-- name: raise_live
-- Live totals of shard $2 grow by $3..$8 in workspaces $1; returns them as they stand.
INSERT INTO live_total (workspace, shard, opens, unique_opens, machine_opens, clicks, unique_clicks, machine_clicks)
SELECT workspace, $2, opens, unique_opens, machine_opens, clicks, unique_clicks, machine_clicks
FROM unnest($1::int[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
    AS n (workspace, opens, unique_opens, machine_opens, clicks, unique_clicks, machine_clicks)
ORDER BY workspace
ON CONFLICT (workspace, shard) DO UPDATE SET opens = live_total.opens + excluded.opens,
    unique_opens = live_total.unique_opens + excluded.unique_opens,
    machine_opens = live_total.machine_opens + excluded.machine_opens,
    clicks = live_total.clicks + excluded.clicks,
    unique_clicks = live_total.unique_clicks + excluded.unique_clicks,
    machine_clicks = live_total.machine_clicks + excluded.machine_clicks
RETURNING workspace, opens, unique_opens, machine_opens, clicks, unique_clicks, machine_clicks;

-- name: raise_versions
-- What answers of workspaces $1 are made of has changed; without this statement everybody's would count as changed.
SELECT postmeter_raise_versions($1), set_config('postmeter.versions', 'raised', true);

-- name: live
-- Every workspace's live totals of shard $1.
SELECT workspace, opens, unique_opens, machine_opens, clicks, unique_clicks, machine_clicks
FROM live_total WHERE shard = $1;

-- name: try_retention_lock
-- Whether this session now does the retention; $1 is the lock.
SELECT pg_try_advisory_lock($1);

-- name: retention_unlock
-- The retention is done.
SELECT pg_advisory_unlock($1);

-- name: partitions_of
-- Names of the partitions of table $1.
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = $1::text::regclass;

-- name: drop_waiting
-- Forget events that have waited for more than $1 days.
DELETE FROM waiting WHERE since < now() - $1::int * interval '1 day';

-- name: drop_dead_letters
-- Forget dead letters older than $1 days.
DELETE FROM dead_letter WHERE at < now() - $1::int * interval '1 day';

-- name: discard_plans
-- Have this connection plan its statements anew (plans.py).
DISCARD PLANS;
