-- name: first
-- First engagements ($1 workspaces, $2 messages, $3 kinds, $4 times, $5 series): an earlier time replaces a later one.
-- Counted by bucket: `was` is the bucket that a unique has moved away from, null for a new one; `sent` is the bucket
-- of a newly engaged message's sending. The messages of new ones are locked, together with those of $6 workspaces and
-- $7 ids: all engagements first, then all messages, each in the order of their keys, so that flushes never wait in a
-- circle. Whoever holds a message's lock knows its sending and all its committed engagements, and they stay (ADR 0010).
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
    SELECT workspace, message, kind, series, at FROM counted WHERE was IS NULL AND kind < 4
    UNION ALL
    SELECT workspace, message, NULL, NULL, NULL FROM unnest($6::int[], $7::uuid[]) AS n (workspace, message)),
locked AS MATERIALIZED (
    SELECT w.workspace, w.series, w.kind, w.at, date_bin('15 minutes', m.sent_at, 'epoch') AS sent
    FROM (SELECT * FROM wanted ORDER BY workspace, message) AS w
    LEFT JOIN LATERAL (
        SELECT sent_at FROM message WHERE message.workspace = w.workspace AND message.id = w.message
        FOR NO KEY UPDATE) AS m ON true)
SELECT workspace, series, kind, at, NULL::timestamptz AS was, sent, count(*) AS n
FROM locked WHERE kind IS NOT NULL GROUP BY 1, 2, 3, 4, 6
UNION ALL
SELECT workspace, series, kind, at, was, NULL, count(*)
FROM counted WHERE was IS NOT NULL OR kind = 4 GROUP BY 1, 2, 3, 4, 5;

-- name: raise_states
-- Messages ($1 workspaces, $2 ids) that `first` has locked: $3 states only rise, $4 sent_at and $5 delivered_at only
-- become earlier. Those that have changed are counted by creation, state, sending and, where the bucket of sending
-- has changed, engagements.
WITH raised AS (
    UPDATE message m SET state = greatest(m.state, n.state), sent_at = least(m.sent_at, n.sent_at),
        delivered_at = least(m.delivered_at, n.delivered_at)
    FROM unnest($1::int[], $2::uuid[], $3::smallint[], $4::timestamptz[], $5::timestamptz[])
        AS n (workspace, id, state, sent_at, delivered_at),
    LATERAL (SELECT state, sent_at FROM message WHERE message.workspace = n.workspace AND message.id = n.id) AS o
    WHERE m.workspace = n.workspace AND m.id = n.id AND (m.state < n.state
        OR n.sent_at < coalesce(m.sent_at, 'infinity') OR n.delivered_at < coalesce(m.delivered_at, 'infinity'))
    RETURNING m.workspace, m.id, m.series, date_trunc('second', m.created_at) AS created, o.state AS was_state,
        m.state, date_bin('15 minutes', o.sent_at, 'epoch') AS was_sent,
        date_bin('15 minutes', m.sent_at, 'epoch') AS sent)
SELECT r.workspace, r.series, r.created, r.was_state, r.state, r.was_sent, r.sent, count(*) AS n,
    sum(e.opened)::bigint AS opened, sum(e.clicked)::bigint AS clicked, sum(e.replied)::bigint AS replied
FROM raised r, LATERAL (
    SELECT count(*) FILTER (WHERE kind = 1) AS opened, count(*) FILTER (WHERE kind = 2) AS clicked,
        count(*) FILTER (WHERE kind = 3) AS replied
    FROM engagement
    WHERE r.sent IS DISTINCT FROM r.was_sent AND engagement.workspace = r.workspace AND engagement.message = r.id
        AND engagement.kind < 4) AS e
GROUP BY 1, 2, 3, 4, 5, 6, 7;
