-- numbers: postmeter.aggregator.fold.states.Flag
-- numbers: postmeter.shared.stream.events.EventType

-- name: open
-- Up to $1 erasures that are not done, the oldest first, and as many of those at step $2, the last one, which wait for others
-- and may keep nobody waiting behind them; how many seconds each has waited.
(SELECT workspace, id, extract(epoch FROM clock_timestamp() - requested_at)::float8 AS waited
FROM erasure WHERE completed_at IS NULL AND step <> $2 ORDER BY requested_at LIMIT $1)
UNION ALL
(SELECT workspace, id, extract(epoch FROM clock_timestamp() - requested_at)::float8
FROM erasure WHERE completed_at IS NULL AND step = $2 ORDER BY requested_at LIMIT $1);

-- name: take
-- Erasure $2 of workspace $1, unless another aggregator is at it. is_behind: all transactions have ended that may have
-- missed the step before.
SELECT to_hash, requested_at, step, removed::text AS removed,
    coalesce(fence <= pg_snapshot_xmin(pg_current_snapshot()), true) AS is_behind
FROM erasure WHERE workspace = $1 AND id = $2 AND completed_at IS NULL FOR UPDATE SKIP LOCKED;

-- name: go_on
-- Erasure $2 of workspace $1 goes on with step $3 and has removed $4 so far; $5: when all transactions of now have ended.
UPDATE erasure SET step = $3, removed = $4::text::jsonb,
    fence = CASE WHEN $5 THEN pg_current_xact_id() ELSE fence END
WHERE workspace = $1 AND id = $2;

-- name: complete
-- Erasure $2 of workspace $1 is done: nothing is kept of whose it was.
UPDATE erasure SET completed_at = clock_timestamp(), to_hash = NULL, fence = NULL WHERE workspace = $1 AND id = $2;

-- name: bury
-- What was erased, as digests: $1 workspaces, $2 digests, $3 times, $4 messages or null.
INSERT INTO erased AS known (workspace, digest, at, message)
SELECT DISTINCT ON (workspace, digest) * FROM unnest($1::int[], $2::bytea[], $3::timestamptz[], $4::uuid[])
    AS n (workspace, digest, at, message)
ORDER BY workspace, digest, at DESC
ON CONFLICT (workspace, digest) DO UPDATE SET at = greatest(known.at, excluded.at), message = excluded.message;

-- name: messages_of
-- Up to $3 messages of recipient $2 of workspace $1.
SELECT id, flags & {Flag.PROVISIONAL} <> 0 AS is_provisional FROM mail
WHERE workspace = $1 AND to_hash = $2 AND hashtextextended(to_hash, workspace) = hashtextextended($2, $1) LIMIT $3;

-- name: unregistered_of
-- The messages that webhooks have made under the names of messages $2 of workspace $1, and that are to be looked at still.
SELECT p.id FROM mail m
JOIN message p ON p.workspace = m.workspace AND p.provider = m.provider AND p.provider_message = m.provider_message
    AND p.flags & {Flag.PROVISIONAL} <> 0
JOIN unregistered u ON u.workspace = p.workspace AND u.message = p.id
WHERE m.workspace = $1 AND m.id = ANY ($2::uuid[]) AND m.provider_message <> '';

-- name: told_of
-- What tells of messages $2 of workspace $1 whose they are.
SELECT id, provider, provider_message, recipient_ref, subject FROM mail WHERE workspace = $1 AND id = ANY ($2::uuid[]);

-- name: make_nameless
-- Messages $2 of workspace $1 lose what identifies; $3: their flags beside those that say what they carry.
UPDATE message SET to_hash = '', to_digest = NULL, to_domain = '', recipient_ref = '', subject = '', provider_message = '',
    flags = (flags & {Flag.OF_REGISTRATION} | $3)::smallint
WHERE workspace = $1 AND id = ANY ($2::uuid[]);

-- name: take_history
-- Take out the history of messages $2 of workspace $1; how many rows there were by link, and of these clicks that count.
WITH gone AS (
    DELETE FROM event e USING unnest($2::uuid[]) AS n (message)
    WHERE e.workspace = $1 AND e.message = n.message
        AND postmeter_place(e.workspace, e.message) = postmeter_place($1, n.message)
    RETURNING e.link, e.type = {EventType.CLICKED} AND e.counted IS NOT FALSE AS is_click)
SELECT link, count(*) AS rows, count(*) FILTER (WHERE is_click) AS clicks FROM gone GROUP BY link;

-- name: count_clicks
-- Links $2 of workspace $1 had $3 clicks whose history is erased.
INSERT INTO erased_clicks AS known (workspace, link, clicks, due)
SELECT $1::int, link, clicks, true FROM unnest($2::bigint[], $3::bigint[]) AS n (link, clicks)
ON CONFLICT (workspace, link) DO UPDATE SET clicks = known.clicks + excluded.clicks, due = true;

-- name: suspect_links
-- Links of workspaces $1 with digests $2 have clicks that are not counted after all, perhaps no others.
INSERT INTO erased_clicks AS known (workspace, link, clicks, due)
SELECT l.workspace, l.id, 0, true FROM (SELECT DISTINCT * FROM unnest($1::int[], $2::bytea[])) AS n (workspace, digest)
JOIN link l ON l.workspace = n.workspace AND l.digest = n.digest
ORDER BY l.workspace, l.id
ON CONFLICT (workspace, link) DO UPDATE SET due = true;

-- name: take_engagements
-- Take out first engagements of messages $2 of workspace $1; how many.
WITH gone AS (DELETE FROM engagement WHERE workspace = $1 AND message = ANY ($2::uuid[]) RETURNING 1)
SELECT count(*) FROM gone;

-- name: point_waiting
-- What waits in workspace $1 for the messages that providers $2 call $3 waits for messages $4, which lose these names.
UPDATE waiting w SET message = n.message FROM unnest($2::text[], $3::text[], $4::uuid[]) AS n (provider, name, message)
WHERE w.workspace = $1 AND w.message IS NULL AND w.provider = n.provider AND w.provider_message = n.name;

-- name: are_awaited
-- Whether anything waits for messages $2 of workspace $1.
SELECT EXISTS (SELECT FROM waiting WHERE workspace = $1 AND message = ANY ($2::uuid[]));

-- name: take_waiting_of
-- Take out events that wait in workspace $1 and name recipient $2, in whichever place.
DELETE FROM waiting WHERE workspace = $1 AND (to_hash = $2 OR position(convert_to($2, 'UTF8') IN record) > 0)
RETURNING record;

-- name: take_dead_letters
-- Take out dead letters of workspace $1 that hold one of $2 bytes; how many.
WITH gone AS (
    DELETE FROM dead_letter d WHERE d.workspace = $1 AND EXISTS (
        SELECT FROM unnest($2::bytea[]) AS n (sought)
        WHERE position(n.sought IN d.record) > 0 OR position(n.sought IN convert_to(d.reason, 'UTF8')) > 0)
    RETURNING 1)
SELECT count(*) FROM gone;

-- name: take_unregistered
-- Nobody needs to look any more whether messages $2 of workspace $1 are registered; how many.
WITH gone AS (DELETE FROM unregistered WHERE workspace = $1 AND message = ANY ($2::uuid[]) RETURNING 1)
SELECT count(*) FROM gone;

-- name: take_subjects
-- Forget those of subjects $2 of workspace $1 that no message has; how many.
WITH gone AS (
    DELETE FROM subject s USING unnest($2::text[]) AS n (subject)
    WHERE s.workspace = $1 AND s.key = hashtextextended(n.subject, $1::int) AND NOT EXISTS (
        SELECT FROM message m
        WHERE hashtextextended(m.subject, m.workspace) = hashtextextended(n.subject, $1::int) AND m.workspace = $1
            AND m.subject = n.subject)
    RETURNING 1)
SELECT count(*) FROM gone;

-- name: remember
-- Messages $3 of workspace $1 are to be looked at once more by erasure $2.
INSERT INTO erasure_message SELECT $1::int, $2::uuid, unnest($3::uuid[]) ON CONFLICT DO NOTHING;

-- name: remembered
-- Up to $3 messages that erasure $2 of workspace $1 is to look at once more.
SELECT message FROM erasure_message WHERE workspace = $1 AND erasure = $2 ORDER BY message LIMIT $3;

-- name: forget
-- Erasure $2 of workspace $1 has looked at messages $3 once more.
DELETE FROM erasure_message WHERE workspace = $1 AND erasure = $2 AND message = ANY ($3::uuid[]);

-- name: clear_purchases
-- Up to $3 purchases of contact $2 of workspace $1 that are attributed lose whose they are; how many.
WITH cleared AS (
    UPDATE purchase SET contact = '', order_id = '', items = '[]', digest = ''
    WHERE (workspace, id, received_at) IN (
        SELECT workspace, id, received_at FROM purchase
        WHERE workspace = $1 AND contact = $2 AND resolved_at IS NOT NULL LIMIT $3)
    RETURNING 1)
SELECT count(*) FROM cleared;

-- name: clear_custom_events
-- About $3 custom events of contact $2 of workspace $1, the oldest, lose whose they are; how many.
WITH cleared AS (
    UPDATE custom_event SET contact = '', properties = '{}'
    WHERE workspace = $1 AND contact = $2 AND at <= coalesce((
        SELECT at FROM custom_event WHERE workspace = $1 AND contact = $2 ORDER BY at OFFSET $3 LIMIT 1), 'infinity')
    RETURNING 1)
SELECT count(*) FROM cleared;

-- name: has_open
-- Whether purchases of contact $2 of workspace $1 of until $3 are not attributed yet.
SELECT EXISTS (
    SELECT FROM purchase WHERE workspace = $1 AND contact = $2 AND resolved_at IS NULL AND received_at <= $3);

-- name: take_last_open
-- Forget when recipient $2 of workspace $1 opened last; how many rows.
WITH gone AS (DELETE FROM last_open WHERE workspace = $1 AND to_hash = $2 RETURNING 1) SELECT count(*) FROM gone;

-- name: take_choice
-- Forget what recipient $2 of workspace $1 has chosen; how many rows.
WITH gone AS (DELETE FROM recipient_choice WHERE workspace = $1 AND to_hash = $2 RETURNING 1) SELECT count(*) FROM gone;

-- name: take_consent
-- Take out up to $3 proofs of choices of recipient $2 of workspace $1; how many.
WITH gone AS (
    DELETE FROM consent WHERE (workspace, to_hash, id) IN (
        SELECT workspace, to_hash, id FROM consent WHERE workspace = $1 AND to_hash = $2 LIMIT $3)
    RETURNING 1)
SELECT count(*) FROM gone;

-- name: change_links
-- Held to the end of the transaction by whoever takes URLs from links of workspace $2: nobody is counting clicks on them.
SELECT pg_advisory_xact_lock($1, $2);

-- name: clear_links
-- Of up to $2 links of workspace $1 with erased clicks those that have no others lose their URL; how many. Rollups keep
-- the link by its number.
WITH due AS MATERIALIZED (
    SELECT link, clicks FROM erased_clicks WHERE workspace = $1 AND due ORDER BY link LIMIT $2),
counted AS MATERIALIZED (
    SELECT a.link, sum(coalesce(a.human_clicks, 0) + coalesce(a.machine_clicks, 0)) AS clicks FROM link_activity_1d a
    WHERE a.workspace = $1 AND a.link = ANY (ARRAY(SELECT link FROM due)) GROUP BY a.link),
nobodys AS MATERIALIZED (
    SELECT due.link FROM due LEFT JOIN counted USING (link) WHERE coalesce(counted.clicks, 0) <= due.clicks),
cleared AS (
    UPDATE link l SET url = '(erased) ' || l.id, digest = decode(md5('(erased) ' || l.id), 'hex')
    FROM nobodys WHERE l.workspace = $1 AND l.id = nobodys.link RETURNING 1),
done AS (
    DELETE FROM erased_clicks e USING nobodys WHERE e.workspace = $1 AND e.link = nobodys.link),
others AS (
    UPDATE erased_clicks e SET due = false FROM due
    WHERE e.workspace = $1 AND e.link = due.link AND e.link NOT IN (SELECT link FROM nobodys))
SELECT (SELECT count(*) FROM due) AS looked_at, (SELECT count(*) FROM cleared) AS cleared;

-- name: end_exports
-- Finished exports of workspace $1 of the types $2 are over at once, so that their files are removed; those at work begin
-- anew. How many.
WITH ended AS (
    UPDATE export SET expires_at = now()
    WHERE workspace = $1 AND type = ANY ($2::text[]) AND status = 'completed' AND removed_at IS NULL AND expires_at > now()
    RETURNING 1),
begun AS (
    UPDATE export SET lease_until = NULL, given_back = given_back + 1
    WHERE workspace = $1 AND type = ANY ($2::text[]) AND status = 'processing' AND attempt > given_back
    RETURNING 1)
SELECT (SELECT count(*) FROM ended) + (SELECT count(*) FROM begun);

-- name: has_files
-- Whether files of exports of workspace $1 of the types $2 that are over are still to be removed, or one that had to begin
-- anew is not made yet: what its worker had written goes with that worker, and where it died, with the next one. Also one that was
-- ordered after the erasure: the messages may have had their names still.
SELECT EXISTS (
    SELECT FROM export WHERE workspace = $1 AND type = ANY ($2::text[]) AND removed_at IS NULL AND (
        expires_at <= now() OR status = 'processing' AND given_back > 0));

-- name: sources
-- Webhook sources of workspace $1.
SELECT id FROM webhook_source WHERE workspace = $1 ORDER BY id LIMIT 1000;

-- name: shards
-- All streams that there are or were.
SELECT shard FROM shard ORDER BY shard;

-- name: raise_versions
-- What answers of workspace $1 are made of has changed.
SELECT postmeter_raise_versions(ARRAY[$1::int]);

-- name: haunted
-- Those of workspaces $1 that have erased anything of late.
SELECT DISTINCT n.workspace FROM unnest($1::int[]) AS n (workspace)
WHERE EXISTS (SELECT FROM erased e WHERE e.workspace = n.workspace);

-- name: erased
-- Those of the digests ($1 workspaces, $2 digests) that were erased: when, and which message a name is of.
SELECT e.workspace, e.digest, e.at, e.message FROM unnest($1::int[], $2::bytea[]) AS n (workspace, digest)
JOIN erased e ON e.workspace = n.workspace AND e.digest = n.digest;

-- name: named_anew
-- Names ($1 workspaces, $2 digests) are registered anew, of messages $3: not of those that lost them.
DELETE FROM erased e USING unnest($1::int[], $2::bytea[], $3::uuid[]) AS n (workspace, digest, message)
WHERE e.workspace = n.workspace AND e.digest = n.digest AND e.message <> n.message;

-- name: nameless
-- Those of the messages ($1 workspaces, $2 ids) that were erased.
SELECT m.workspace, m.id FROM unnest($1::int[], $2::uuid[]) AS n (workspace, id)
JOIN message m ON m.workspace = n.workspace AND m.id = n.id AND m.flags & {Flag.ERASED} <> 0;

-- name: drop_erased
-- Forget what was erased before $1, a day: nothing of it is on its way any more.
DELETE FROM erased WHERE at < $1::date::timestamp AT TIME ZONE 'UTC';
