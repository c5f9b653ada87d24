-- name: change_messages
-- First engagements: $1 workspaces, $2 messages, $3 kinds, $4 times, $5 series. An earlier time replaces a later one.
-- Messages: $6 workspaces, $7 ids; $8 states only rise, $9 sent_at and $10 delivered_at only become earlier.
-- First all engagements, then the messages of both are locked, each in the order of their keys, so that flushes never
-- wait in a circle. Who has a message's lock knows when it was sent and all its committed engagements (ADR 0010).
-- Returns groups of `n`. With a kind: engagements in the bucket `at`, moved there from `was` or, where that is null,
-- new on messages sent in `sent`. Without: messages created in `at` that changed from `was_state` and, if they are in
-- `messages`, from the bucket of sending `was`.
WITH counted AS (
    INSERT INTO engagement (workspace, message, kind, at, series)
    SELECT * FROM unnest($1::int[], $2::uuid[], $3::smallint[], $4::timestamptz[], $5::bigint[])
        AS n (workspace, message, kind, at, series)
    ORDER BY workspace, message, kind
    ON CONFLICT (workspace, message, kind) DO UPDATE SET at = excluded.at, was = engagement.at
    WHERE engagement.at > excluded.at
    RETURNING workspace, message, kind, series, date_bin('15 minutes', at, 'epoch') AS at,
        date_bin('15 minutes', was, 'epoch') AS was),
wanted AS (
    SELECT workspace, message, kind, series, at, NULL::smallint AS state, NULL::timestamptz AS sent_at,
        NULL::timestamptz AS delivered_at
    FROM counted WHERE was IS NULL AND kind < 4
    UNION ALL
    SELECT workspace, message, NULL, NULL, NULL, state, sent_at, delivered_at
    FROM unnest($6::int[], $7::uuid[], $8::smallint[], $9::timestamptz[], $10::timestamptz[])
        AS n (workspace, message, state, sent_at, delivered_at)),
locked AS MATERIALIZED (
    SELECT w.*, m.state AS was_state, m.sent_at AS was_sent_at, m.delivered_at AS was_delivered_at
    FROM (SELECT * FROM wanted ORDER BY workspace, message) AS w
    LEFT JOIN LATERAL (
        SELECT state, sent_at, delivered_at FROM message
        WHERE message.workspace = w.workspace AND message.id = w.message FOR NO KEY UPDATE) AS m ON true),
raised AS (
    UPDATE message m SET state = greatest(m.state, l.state), sent_at = least(m.sent_at, l.sent_at),
        delivered_at = least(m.delivered_at, l.delivered_at)
    FROM locked l
    WHERE m.workspace = l.workspace AND m.id = l.message AND (l.state > l.was_state
        OR l.sent_at < coalesce(l.was_sent_at, 'infinity')
        OR l.delivered_at < coalesce(l.was_delivered_at, 'infinity'))
    RETURNING m.workspace, m.id, m.series, date_trunc('second', m.created_at) AS created, l.was_state, m.state,
        date_bin('15 minutes', l.was_sent_at, 'epoch') AS was, date_bin('15 minutes', m.sent_at, 'epoch') AS sent)
SELECT workspace, series, kind, at, NULL::timestamptz AS was, date_bin('15 minutes', was_sent_at, 'epoch') AS sent,
    NULL::smallint AS was_state, NULL::smallint AS state, NULL::uuid[] AS messages, count(*) AS n
FROM locked WHERE kind IS NOT NULL GROUP BY 1, 2, 3, 4, 6
UNION ALL
SELECT workspace, series, kind, at, was, NULL, NULL, NULL, NULL, count(*)
FROM counted WHERE was IS NOT NULL OR kind = 4 GROUP BY 1, 2, 3, 4, 5
UNION ALL
SELECT workspace, series, NULL, created, was, sent, was_state, state,
    array_agg(id) FILTER (WHERE sent IS DISTINCT FROM was), count(*)
FROM raised GROUP BY 1, 2, created, was, sent, was_state, state;

-- name: engagements_of
-- First opens, clicks and replies of the messages ($1 workspaces, $2 ids) of groups $3, counted by group and kind.
SELECT n.place, e.kind, count(*) AS n
FROM unnest($1::int[], $2::uuid[], $3::int[]) AS n (workspace, message, place)
JOIN engagement e ON e.workspace = n.workspace AND e.message = n.message AND e.kind < 4
GROUP BY 1, 2;
