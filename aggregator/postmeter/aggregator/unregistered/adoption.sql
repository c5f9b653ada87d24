-- numbers: postmeter.shared.stream.events.EventType
-- numbers: postmeter.shared.storage.verdict_reasons.StoredVerdict

-- name: shorter_histories
-- From when on those of workspaces $1 keep history that say for how long, in months beside the one that begins on $2, and
-- those that have said so before: what was removed then is gone.
SELECT n.workspace, greatest(d.until, ($2::date - s.history_months * interval '1 month')::date)::timestamp AT TIME ZONE 'UTC' AS oldest
FROM unnest($1::int[]) AS n (workspace)
LEFT JOIN privacy_setting s ON s.workspace = n.workspace
LEFT JOIN retention_done d ON d.workspace = n.workspace AND d.kind = 'history'
WHERE s.history_months IS NOT NULL OR d.until IS NOT NULL;

-- name: move_history
-- The history of messages $2 of workspaces $1 becomes that of messages $3 of series $4; whether opens ($5) and clicks
-- ($6) that a webhook told count there. $7: the reason of those that do not, as it is stored beside a verdict.
UPDATE event e SET message = n.message, series = n.series,
    counted = CASE WHEN e.source IS NULL THEN e.counted WHEN e.type = {EventType.OPENED} THEN nullif(n.opens, true)
        WHEN e.type = {EventType.CLICKED} THEN nullif(n.clicks, true) ELSE e.counted END,
    verdict = CASE WHEN e.source IS NOT NULL AND (e.type = {EventType.OPENED} AND NOT n.opens OR e.type = {EventType.CLICKED} AND NOT n.clicks)
        THEN e.verdict & {StoredVerdict.MASK} | $7::smallint ELSE e.verdict END,
    verdict_reason = CASE WHEN e.source IS NOT NULL AND (e.type = {EventType.OPENED} AND NOT n.opens OR e.type = {EventType.CLICKED} AND NOT n.clicks)
        THEN NULL ELSE e.verdict_reason END
FROM unnest($1::int[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bool[], $6::bool[])
    AS n (workspace, provisional, message, series, opens, clicks)
WHERE e.workspace = n.workspace AND e.message = n.provisional
    AND postmeter_place(e.workspace, e.message) = postmeter_place(n.workspace, n.provisional)
RETURNING e.workspace, n.provisional, e.message, e.series, e.at, e.type, e.bounce, e.verdict & {StoredVerdict.MASK} AS verdict, e.reason,
    CASE WHEN e.link IS NULL THEN e.url
        ELSE (SELECT l.url FROM link l WHERE l.workspace = e.workspace AND l.id = e.link) END AS url,
    coalesce(e.counted, true) AS counted;

-- name: drop_history
-- Nothing is kept of the events of types $3 of messages ($1 workspaces, $2 ids).
DELETE FROM event e USING unnest($1::int[], $2::uuid[], $3::smallint[]) AS n (workspace, message, type)
WHERE e.workspace = n.workspace AND e.message = n.message AND e.type = n.type
    AND postmeter_place(e.workspace, e.message) = postmeter_place(n.workspace, n.message);

-- name: coarsen_history
-- Of the events of types $3 of messages ($1 workspaces, $2 ids) user agent, network and the time within the hour go.
UPDATE event e SET at = date_trunc('hour', e.at, 'UTC'), received_at = NULL, claimed_at = NULL, user_agent_id = NULL,
    user_agent = NULL, network = NULL, ip = NULL
FROM unnest($1::int[], $2::uuid[], $3::smallint[]) AS n (workspace, message, type)
WHERE e.workspace = n.workspace AND e.message = n.message AND e.type = n.type
    AND postmeter_place(e.workspace, e.message) = postmeter_place(n.workspace, n.message);

-- name: take_engagements
-- Take out the first engagements of messages ($1 workspaces, $2 ids).
DELETE FROM engagement e USING unnest($1::int[], $2::uuid[]) AS n (workspace, message)
WHERE e.workspace = n.workspace AND e.message = n.message RETURNING e.workspace, e.message, e.kind, e.at;

-- name: take_messages
-- Take out messages ($1 workspaces, $2 ids).
DELETE FROM message m USING unnest($1::int[], $2::uuid[]) AS n (workspace, id)
WHERE m.workspace = n.workspace AND m.id = n.id;
