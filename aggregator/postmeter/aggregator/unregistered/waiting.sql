-- numbers: postmeter.aggregator.fold.states.Flag

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

-- name: awaited
-- In which of workspaces $1 events wait for a message by its id, or by its provider's name: mostly in none, and then nobody
-- need look for any message.
SELECT n.workspace, EXISTS (SELECT FROM waiting w WHERE w.workspace = n.workspace AND w.message IS NOT NULL) AS by_id,
    EXISTS (SELECT FROM waiting w WHERE w.workspace = n.workspace AND w.message IS NULL) AS by_name
FROM unnest($1::int[]) AS n (workspace);

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
-- their message has become known elsewhere meanwhile, or the name's digest that stands for it (ADR 0060). One by one: read whole, the messages of a provider may be all there
-- are.
SELECT e.id, e.since, by_id.known OR by_name.known AS known
FROM (
    SELECT * FROM waiting
    WHERE since > clock_timestamp() - $1::float8 * interval '1 second' AND (since, id) > ($2::timestamptz, $3::bigint)
    ORDER BY since, id LIMIT $4) AS e
LEFT JOIN LATERAL (
    SELECT true AS known FROM message m WHERE m.workspace = e.workspace AND m.id = e.message
    UNION ALL SELECT true FROM anonymous_source s WHERE s.workspace = e.workspace AND s.id = e.message
    UNION ALL SELECT true FROM erased d WHERE d.workspace = e.workspace AND d.digest = uuid_send(e.message) AND d.message IS NOT NULL
    LIMIT 1) AS by_id ON true
LEFT JOIN LATERAL (
    SELECT true AS known FROM (
        SELECT * FROM mail
        WHERE hashtextextended(nullif(provider_message, ''), workspace) = hashtextextended(e.provider_message, e.workspace)
        OFFSET 0) AS m  -- by the hash alone, as find_provider_messages
    WHERE e.message IS NULL AND m.workspace = e.workspace AND m.provider = e.provider
        AND m.provider_message = e.provider_message AND m.flags & {Flag.CONFINED} = 0
    LIMIT 1) AS by_name ON true
ORDER BY e.since, e.id;

-- name: take_known
-- Take out those of events $1 that nobody else is just taking out.
DELETE FROM waiting WHERE id IN (SELECT id FROM waiting WHERE id = ANY ($1::bigint[]) FOR UPDATE SKIP LOCKED)
RETURNING record;
