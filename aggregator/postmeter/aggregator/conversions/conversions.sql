-- numbers: postmeter.aggregator.fold.states.Flag

-- name: known_purchases
-- Those of the purchases ($1 workspaces, $2 ids) that are stored.
SELECT p.workspace, p.id FROM unnest($1::int[], $2::text[]) AS n (workspace, id)
JOIN purchase p ON p.workspace = n.workspace AND p.id = n.id;

-- name: store_purchases
-- Purchases, column by column; they are attributed later.
INSERT INTO purchase (workspace, id, order_id, contact, amount, currency, items, digest, at, received_at, claimed_at)
SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::numeric[], $6::text[], $7::jsonb[],
    $8::bytea[], $9::timestamptz[], $10::timestamptz[], $11::timestamptz[]);

-- name: store_custom_events
-- Custom events, column by column.
INSERT INTO custom_event (workspace, id, name, contact, properties, at, received_at, claimed_at)
SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::timestamptz[],
    $7::timestamptz[], $8::timestamptz[]);

-- name: open_purchases
-- Up to $1 purchases that are not attributed yet, oldest first, and how many seconds each has waited.
SELECT workspace, id, extract(epoch FROM clock_timestamp() - stored_at)::float8 AS waited
FROM purchase WHERE resolved_at IS NULL ORDER BY stored_at LIMIT $1;

-- name: positions
-- Where each shard stands.
SELECT shard, position FROM shard;

-- name: lock_purchases
-- Those of the purchases ($1 workspaces, $2 ids) that nobody has attributed or attributes now. Locked.
SELECT p.workspace, p.id, p.contact, p.amount, p.currency, p.digest, p.at
FROM unnest($1::int[], $2::text[]) AS n (workspace, id)
JOIN purchase p ON p.workspace = n.workspace AND p.id = n.id
WHERE p.resolved_at IS NULL ORDER BY p.workspace, p.id FOR UPDATE OF p SKIP LOCKED;

-- name: uncounted
-- Contacts ($1 workspaces, $2 hashes) with events that wait for messages which are known by now: a flush had begun
-- before the registration's ended; or with a message that a webhook told of before it was registered, and whose clicks
-- have not been moved to it yet (ADR 0020). The sweep does both within about a second. $3: how many messages of a
-- contact are looked at.
SELECT n.workspace, n.contact FROM unnest($1::int[], $2::text[]) AS n (workspace, contact)
WHERE EXISTS (
    SELECT FROM (
        SELECT m.id, m.provider, m.provider_message, m.flags FROM (
            SELECT * FROM mail WHERE hashtextextended(to_hash, workspace) = hashtextextended(n.contact, n.workspace)
            OFFSET 0) AS m  -- by the hash alone, as find_provider_messages
        WHERE m.workspace = n.workspace AND m.to_hash = n.contact
        ORDER BY m.id DESC LIMIT $3) AS mine
    WHERE EXISTS (SELECT FROM waiting w WHERE w.workspace = n.workspace AND w.message = mine.id)
        OR mine.provider_message <> '' AND EXISTS (
            SELECT FROM waiting w WHERE w.message IS NULL AND w.workspace = n.workspace
                AND w.provider = mine.provider AND w.provider_message = mine.provider_message)
        OR mine.provider_message <> '' AND mine.flags & {Flag.PROVISIONAL} = 0 AND EXISTS (
            SELECT FROM message p WHERE p.workspace = n.workspace AND p.provider = mine.provider
                AND p.provider_message = mine.provider_message AND p.flags & {Flag.PROVISIONAL} <> 0));

-- name: last_clicks
-- For each of the purchases ($1 workspaces, $2 contacts, $3 times) in order: the contact's last counted click by a
-- human in the seven days up to that time, on messages with a campaign; of two at once that of the later message.
-- $4: how many messages of a contact, the newest, are looked at. $5: the clicks' type, $6: the human's verdict.
SELECT clicked.message, clicked.series, clicked.campaign
FROM unnest($1::int[], $2::text[], $3::timestamptz[]) WITH ORDINALITY AS n (workspace, contact, at, place)
LEFT JOIN LATERAL (
    SELECT mine.id AS message, e.series, mine.campaign
    FROM (
        SELECT m.id, m.campaign FROM (
            SELECT * FROM mail WHERE hashtextextended(to_hash, workspace) = hashtextextended(n.contact, n.workspace)
            OFFSET 0) AS m  -- by the hash alone, as find_provider_messages
        WHERE m.workspace = n.workspace AND m.to_hash = n.contact
        ORDER BY m.id DESC LIMIT $4) AS mine
    JOIN history e ON e.workspace = n.workspace AND e.message = mine.id
        AND postmeter_place(e.workspace, e.message) = postmeter_place(n.workspace, mine.id)
        AND postmeter_second(e.at) BETWEEN postmeter_second(n.at - interval '7 days') AND postmeter_second(n.at)
        AND e.at >= n.at - interval '7 days' AND e.at <= n.at AND e.type = $5 AND e.verdict = $6 AND e.counted
    WHERE mine.campaign <> ''
    ORDER BY e.at DESC, mine.id DESC LIMIT 1) AS clicked ON true
ORDER BY n.place;

-- name: resolve
-- Purchases ($1 workspaces, $2 ids) are attributed to the clicks on messages $3 of series $4 and campaigns $5, or null.
UPDATE purchase p SET resolved_at = clock_timestamp(), message = n.message, series = n.series, campaign = n.campaign
FROM unnest($1::int[], $2::text[], $3::uuid[], $4::bigint[], $5::text[]) AS n (workspace, id, message, series, campaign)
WHERE p.workspace = n.workspace AND p.id = n.id;

-- name: answers
-- What became of the purchases ($1 workspaces, $2 ids), as far as they are attributed.
SELECT p.workspace, p.id, p.campaign, p.digest FROM unnest($1::int[], $2::text[]) AS n (workspace, id)
JOIN purchase p ON p.workspace = n.workspace AND p.id = n.id
WHERE p.resolved_at IS NOT NULL;
