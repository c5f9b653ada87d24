-- numbers: postmeter.shared.stream.events.Engagement

-- name: raise_messages
-- Messages whose slots are held: $1 workspaces, $2 ids; $3 states only rise, $4 sent_at and $5 delivered_at only become
-- earlier.
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
JOIN engagement e ON e.workspace = n.workspace AND e.message = n.message AND e.kind < {Engagement.UNSUBSCRIBE}
    AND e.at < 'infinity'
GROUP BY 1, 2;

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

-- name: note_last_opens
-- Recipients of messages ($1 workspaces, $2 ids) opened on the days $3, at the latest: nothing else is kept of it.
INSERT INTO last_open AS known (workspace, to_hash, day)
SELECT m.workspace, m.to_hash, max(n.day)
FROM unnest($1::int[], $2::uuid[], $3::date[]) AS n (workspace, message, day)
JOIN mail m ON m.workspace = n.workspace AND m.id = n.message
WHERE m.to_hash <> ''
GROUP BY m.workspace, m.to_hash ORDER BY m.workspace, m.to_hash
ON CONFLICT (workspace, to_hash) DO UPDATE SET day = excluded.day WHERE known.day < excluded.day;
