-- name: messages
-- The latest $3 messages of recipient $2 of workspace $1 that were created before $4, or at $4 and come behind $6 there, and
-- those of the last one's second, for the next page may begin before that; $5 at most.
SELECT * FROM (SELECT rank() OVER (ORDER BY date_trunc('second', created_at) DESC) AS place, message.id, message.campaign, from_address, recipient_ref, to_hash, to_domain, subject, state, message.provider,
    provider_message, message.template, series.mailbox_provider, message.tags, created_at, sent_at, delivered_at
FROM mail AS message LEFT JOIN series ON series.workspace = $1 AND series.id = message.series
WHERE message.workspace = $1 AND to_hash = $2 AND hashtextextended(to_hash, message.workspace) = hashtextextended($2, $1)
    AND created_at <= $4 AND (created_at < $4 OR message.id > $6::uuid)) AS found
WHERE place <= $3 ORDER BY created_at DESC, id LIMIT $5

-- name: events
-- The latest $3 events of each of messages $2 of workspace $1, in the messages' order, each one's earliest first.
SELECT n.message, e.* FROM unnest($2::uuid[]) WITH ORDINALITY AS n (message, place) CROSS JOIN LATERAL (
    SELECT type, at, verdict, verdict_reason, bounce, reason, url, user_agent, ip, counted, claimed_at FROM history
    WHERE workspace = $1 AND history.message = n.message
        AND postmeter_place(workspace, history.message) = postmeter_place($1, n.message)
    ORDER BY postmeter_second(at) DESC, at DESC, type DESC, received_at DESC LIMIT $3) AS e
ORDER BY n.place, e.at, e.type

-- name: engagements
-- First opens, clicks, replies and unsubscribes of messages $2 of workspace $1. An infinite time: none that counts.
SELECT message, kind, at FROM engagement WHERE workspace = $1 AND message = ANY ($2::uuid[]) AND at < 'infinity'

-- name: consent
-- The latest $3 choices of recipient $2 of workspace $1 that were recorded before $4, or at $4 and come behind $6 there, and
-- those of the last one's second; $5 at most.
SELECT id, opens, clicks, method, text_version, source, at, recorded_at, recorded_by FROM consent
WHERE workspace = $1 AND to_hash = $2 AND recorded_at <= $4 AND (recorded_at < $4 OR id < $6::bigint)
    AND recorded_at >= coalesce((
        SELECT date_trunc('second', recorded_at) FROM consent
        WHERE workspace = $1 AND to_hash = $2 AND recorded_at <= $4 AND (recorded_at < $4 OR id < $6)
        ORDER BY recorded_at DESC OFFSET $3 - 1 LIMIT 1), '-infinity')
ORDER BY recorded_at DESC, id DESC LIMIT $5

-- name: purchases
-- The latest $3 purchases of contact $2 of workspace $1 before $4, or at $4 behind $6, and those of the last one's second; $5
-- at most.
SELECT id, order_id, amount::text AS amount, currency, items::text AS items, at, campaign FROM purchase
WHERE workspace = $1 AND contact = $2 AND at <= $4 AND (at < $4 OR id > $6::text) AND at >= coalesce((
        SELECT date_trunc('second', at) FROM purchase
        WHERE workspace = $1 AND contact = $2 AND at <= $4 AND (at < $4 OR id > $6)
        ORDER BY at DESC OFFSET $3 - 1 LIMIT 1), '-infinity')
ORDER BY at DESC, id LIMIT $5

-- name: custom_events
-- The latest $3 custom events of contact $2 of workspace $1 before $4, or at $4 behind $6, and those of the last one's second; $5
-- at most.
SELECT id, name, properties::text AS properties, at FROM custom_event
WHERE workspace = $1 AND contact = $2 AND at <= $4 AND (at < $4 OR id > $6::text) AND at >= coalesce((
        SELECT date_trunc('second', at) FROM custom_event
        WHERE workspace = $1 AND contact = $2 AND at <= $4 AND (at < $4 OR id > $6)
        ORDER BY at DESC OFFSET $3 - 1 LIMIT 1), '-infinity')
ORDER BY at DESC, id LIMIT $5

-- name: last_open
-- The day of the last open of recipient $2 of workspace $1.
SELECT day FROM last_open WHERE workspace = $1 AND to_hash = $2

-- name: waiting
-- The latest $3 events of workspace $1 that wait since before $4, or since $4 and come behind $6 there, and name recipient $2,
-- and those of the last one's second; $5 at most.
SELECT id, since, record FROM (SELECT rank() OVER (ORDER BY date_trunc('second', since) DESC) AS place, id, since, record
    FROM waiting WHERE workspace = $1 AND (to_hash = $2 OR position(convert_to($2, 'UTF8') IN record) > 0)
        AND since <= $4 AND (since < $4 OR id > $6::bigint)) AS found
WHERE place <= $3 ORDER BY since DESC, id LIMIT $5

-- name: put_aside
-- The latest $3 dead letters of workspace $1 of before $4, or of $4 and behind $6 there, that name recipient $2, and those of
-- the last one's second; $5 at most.
SELECT id, at, reason FROM (SELECT rank() OVER (ORDER BY date_trunc('second', at) DESC) AS place, id, at, reason
    FROM dead_letter WHERE workspace = $1 AND position(convert_to($2, 'UTF8') IN record) > 0
        AND at <= $4 AND (at < $4 OR id > $6::bigint)) AS found
WHERE place <= $3 ORDER BY at DESC, id LIMIT $5

-- name: counts
-- How many messages, created before $3 (or then, and behind $9: as of all these), choices that were recorded before $4 ($10),
-- purchases of before $5 ($11), custom events of before $6 ($12), events that wait since before $7 ($13) and dead letters of
-- before $8 ($14) recipient $2 of workspace $1 has, and how many events messages $15 have.
SELECT (SELECT count(*) FROM mail WHERE workspace = $1 AND to_hash = $2
        AND hashtextextended(to_hash, workspace) = hashtextextended($2, $1)
        AND created_at <= $3 AND (created_at < $3 OR id > $9::uuid)) AS messages,
    (SELECT count(*) FROM consent WHERE workspace = $1 AND to_hash = $2
        AND recorded_at <= $4 AND (recorded_at < $4 OR id < $10::bigint)) AS consent,
    (SELECT count(*) FROM purchase WHERE workspace = $1 AND contact = $2
        AND at <= $5 AND (at < $5 OR id > $11::text)) AS purchases,
    (SELECT count(*) FROM custom_event WHERE workspace = $1 AND contact = $2
        AND at <= $6 AND (at < $6 OR id > $12::text)) AS custom_events,
    (SELECT count(*) FROM waiting WHERE workspace = $1 AND (to_hash = $2 OR position(convert_to($2, 'UTF8') IN record) > 0)
        AND since <= $7 AND (since < $7 OR id > $13::bigint)) AS waiting,
    (SELECT count(*) FROM dead_letter WHERE workspace = $1 AND position(convert_to($2, 'UTF8') IN record) > 0
        AND at <= $8 AND (at < $8 OR id > $14::bigint)) AS put_aside,
    (SELECT count(*) FROM unnest($15::uuid[]) AS n (message) JOIN event e ON e.workspace = $1 AND e.message = n.message
        AND postmeter_place(e.workspace, e.message) = postmeter_place($1, n.message)) AS events
