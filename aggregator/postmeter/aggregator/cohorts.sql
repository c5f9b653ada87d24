-- name: engage
-- First engagements: $1 workspaces, $2 messages, $3 kinds, $4 times, $5 series. An earlier time replaces a later one;
-- that of a click is infinite where machines only have clicked, which is as if nobody had.
-- Then the messages of the new ones and those of $6 workspaces, $7 ids are locked, in the order of their keys, as the
-- engagements were: so flushes never wait in a circle. Who has a message's lock knows when it was sent and all its
-- committed engagements (ADR 0010).
-- Returns groups of `n` engagements in the bucket `at`, moved there from `was` or, where that is null, new on messages
-- sent in `sent`; and of clicks the messages on which it is the first that is known of anybody, and that were not
-- delivered within $8 seconds before it (ADR 0023).
WITH counted AS (
    INSERT INTO engagement (workspace, message, kind, at, series)
    SELECT * FROM unnest($1::int[], $2::uuid[], $3::smallint[], $4::timestamptz[], $5::bigint[])
        AS n (workspace, message, kind, at, series)
    ORDER BY workspace, message, kind
    ON CONFLICT (workspace, message, kind) DO UPDATE SET at = excluded.at, was = engagement.at
    WHERE engagement.at > excluded.at
    RETURNING workspace, message, kind, series, at, nullif(was, 'infinity') AS was, was IS NOT NULL AS known),
wanted AS (
    SELECT workspace, message, kind, series, at, known FROM counted WHERE was IS NULL AND kind < 4 AND at < 'infinity'
    UNION ALL
    SELECT workspace, message, NULL, NULL, NULL, NULL FROM unnest($6::int[], $7::uuid[]) AS n (workspace, message)),
locked AS MATERIALIZED (
    SELECT w.*, m.sent_at, NOT w.known AND NOT coalesce(w.at - m.delivered_at <= $8::int * interval '1 second'
        AND w.at >= m.delivered_at, false) AS alone
    FROM (SELECT * FROM wanted ORDER BY workspace, message) AS w
    LEFT JOIN LATERAL (
        SELECT sent_at, delivered_at FROM message
        WHERE message.workspace = w.workspace AND message.id = w.message FOR NO KEY UPDATE) AS m ON true)
SELECT workspace, series, kind, date_bin('15 minutes', at, 'epoch') AS at, NULL::timestamptz AS was,
    date_bin('15 minutes', sent_at, 'epoch') AS sent, count(*) AS n,
    array_agg(message) FILTER (WHERE kind = 2 AND alone) AS alone
FROM locked WHERE kind IS NOT NULL GROUP BY 1, 2, 3, 4, 6
UNION ALL
SELECT workspace, series, kind, date_bin('15 minutes', at, 'epoch'), date_bin('15 minutes', was, 'epoch'), NULL,
    count(*), NULL
FROM counted WHERE was IS NOT NULL OR kind = 4 GROUP BY 1, 2, 3, 4, 5;

-- name: raise_messages
-- Messages that `engage` has locked: $1 workspaces, $2 ids; $3 states only rise, $4 sent_at and $5 delivered_at only
-- become earlier. A statement of its own: Postgres 18.6 crashes where one statement locks rows that somebody has just
-- changed and updates them through pruned partitions (ADR 0010).
-- Returns groups of `n` messages created in `at` that changed from `was_state` and, if they are in `messages`, from
-- the bucket of sending `was`.
WITH raised AS (
    UPDATE message m SET state = greatest(m.state, l.state), sent_at = least(m.sent_at, l.sent_at),
        delivered_at = least(m.delivered_at, l.delivered_at)
    FROM (
        SELECT n.*, o.state AS was_state, o.sent_at AS was_sent_at, o.delivered_at AS was_delivered_at
        FROM unnest($1::int[], $2::uuid[], $3::smallint[], $4::timestamptz[], $5::timestamptz[])
            AS n (workspace, message, state, sent_at, delivered_at)
        JOIN message o ON o.workspace = n.workspace AND o.id = n.message) AS l
    WHERE m.workspace = l.workspace AND m.id = l.message AND (l.state > l.was_state
        OR l.sent_at < coalesce(l.was_sent_at, 'infinity')
        OR l.delivered_at < coalesce(l.was_delivered_at, 'infinity'))
    RETURNING m.workspace, m.id, m.series, date_trunc('second', m.created_at) AS created, l.was_state, m.state,
        date_bin('15 minutes', l.was_sent_at, 'epoch') AS was, date_bin('15 minutes', m.sent_at, 'epoch') AS sent)
SELECT workspace, series, created AS at, was, sent, was_state, state,
    array_agg(id) FILTER (WHERE sent IS DISTINCT FROM was) AS messages, count(*) AS n
FROM raised GROUP BY 1, 2, created, was, sent, was_state, state;

-- name: engagements_of
-- First opens, clicks and replies of the messages ($1 workspaces, $2 ids) of groups $3, counted by group and kind.
SELECT n.place, e.kind, count(*) AS n
FROM unnest($1::int[], $2::uuid[], $3::int[]) AS n (workspace, message, place)
JOIN engagement e ON e.workspace = n.workspace AND e.message = n.message AND e.kind < 4
    AND e.at < 'infinity'
GROUP BY 1, 2;
