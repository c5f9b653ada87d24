-- numbers: postmeter.aggregator.fold.states.Flag

-- name: wanted
-- What workspaces keep for less time than for ever, in months, and up to when that is done, by kind.
SELECT s.workspace, s.history_months, s.messages_months, s.contacts_months, s.consent_months,
    coalesce((SELECT jsonb_object_agg(d.kind, d.until) FROM retention_done d WHERE d.workspace = s.workspace), '{}')::text
        AS done
FROM privacy_setting s
WHERE coalesce(s.history_months, s.messages_months, s.contacts_months, s.consent_months) IS NOT NULL
ORDER BY s.workspace LIMIT 1000000;

-- name: done
-- Rows of kind $2 of workspace $1 from before $3 are removed.
INSERT INTO retention_done (workspace, kind, until) VALUES ($1, $2, $3)
ON CONFLICT (workspace, kind) DO UPDATE SET until = excluded.until;

-- name: history
-- Take out up to $4 rows of the history of workspace $1 from $2 to $3; how many. By their places in the table, for no index
-- has them by workspace and time.
WITH over AS (
    SELECT tableoid AS part, ctid AS place FROM event WHERE workspace = $1 AND at >= $2 AND at < $3 LIMIT $4),
gone AS (
    DELETE FROM event e USING over WHERE e.tableoid = over.part AND e.ctid = over.place AND e.at >= $2 AND e.at < $3
    RETURNING 1)
SELECT count(*) FROM gone;

-- name: months
-- The beginnings of the months of table $1's partitions that hold what is from before $2, the first of a month.
SELECT DISTINCT substring(c.relname FROM '_(\d{6})$') AS month
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = $1::text::regclass AND substring(c.relname FROM '_(\d{6})$') < to_char($2::date, 'YYYYMM')
ORDER BY 1;

-- name: messages
-- Up to $5 messages of workspace $1 that were created before $2 and still have a name, behind the one of time $3 and id $4.
SELECT id, created_at, flags & {Flag.PROVISIONAL} <> 0 AS is_provisional FROM message
WHERE workspace = $1 AND created_at < $2 AND (created_at, id) > ($3, $4) AND flags & {Flag.ERASED} = 0
ORDER BY created_at, id LIMIT $5;

-- name: purchases
-- Up to $3 attributed purchases of workspace $1 from before $2 lose whose they are; how many.
WITH cleared AS (
    UPDATE purchase SET contact = '', order_id = '', items = '[]', digest = ''
    WHERE (workspace, id, received_at) IN (
        SELECT workspace, id, received_at FROM purchase
        WHERE workspace = $1 AND received_at < $2 AND contact <> '' AND resolved_at IS NOT NULL LIMIT $3)
    RETURNING 1)
SELECT count(*) FROM cleared;

-- name: custom_events
-- Take out up to $3 custom events of workspace $1 from before $2; how many.
WITH over AS (SELECT tableoid AS part, ctid AS place FROM custom_event WHERE workspace = $1 AND at < $2 LIMIT $3),
gone AS (
    DELETE FROM custom_event c USING over
    WHERE c.tableoid = over.part AND c.ctid = over.place AND c.workspace = $1 AND c.at < $2 RETURNING 1)
SELECT count(*) FROM gone;

-- name: consent
-- Take out up to $3 proofs of workspace $1 from before $2 of choices that do not hold any more; how many. Which holds is
-- as in `choose` of store/consents.sql; of proofs that say the same at the same moment the last one stays.
WITH gone AS (
    DELETE FROM consent WHERE (workspace, to_hash, id) IN (
        SELECT workspace, to_hash, id FROM consent c
        WHERE c.workspace = $1 AND c.recorded_at < $2
            AND (c.opens IS NULL OR EXISTS (
                SELECT FROM consent l WHERE l.workspace = $1 AND l.to_hash = c.to_hash AND l.opens IS NOT NULL
                    AND (l.at, array_position('{1,0,2}', l.opens), l.id) > (c.at, array_position('{1,0,2}', c.opens), c.id)))
            AND (c.clicks IS NULL OR EXISTS (
                SELECT FROM consent l WHERE l.workspace = $1 AND l.to_hash = c.to_hash AND l.clicks IS NOT NULL
                    AND (l.at, array_position('{1,0,2}', l.clicks), l.id) > (c.at, array_position('{1,0,2}', c.clicks), c.id)))
        LIMIT $3)
    RETURNING 1)
SELECT count(*) FROM gone;

-- name: audit
-- Take out up to $2 entries of the audit log from before $1; how many.
WITH gone AS (
    DELETE FROM audit WHERE (workspace, id) IN (SELECT workspace, id FROM audit WHERE at < $1 LIMIT $2) RETURNING 1)
SELECT count(*) FROM gone;
