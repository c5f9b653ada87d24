-- name: facts
-- What happened in workspace $1 in [$2, $3); and the first counted open, click, reply and unsubscribe of each message.
SELECT at, series, type, bounce, verdict, false AS first FROM history
WHERE workspace = $1 AND at >= $2 AND at < $3
UNION ALL
SELECT at, series, type, NULL, NULL, true FROM (
    SELECT type, min(series) AS series, min(at) AS at FROM history
    WHERE workspace = $1 AND type IN ({UNSUBSCRIBED}, {OPENED}, {CLICKED}, {REPLIED}) AND verdict IS DISTINCT FROM {MACHINE}
    GROUP BY message, type) AS firsts
WHERE at >= $2 AND at < $3

-- name: counts
-- What the documents count, over the facts.
count(*) FILTER (WHERE type = {SENT}) AS sent, count(*) FILTER (WHERE type = {DELIVERED}) AS delivered,
count(*) FILTER (WHERE type = {BOUNCED}) AS bounced, count(*) FILTER (WHERE bounce = {HARD}) AS hard,
count(*) FILTER (WHERE bounce = {SOFT}) AS soft, count(*) FILTER (WHERE type = {COMPLAINED}) AS complained,
count(*) FILTER (WHERE type = {FAILED}) AS failed,
count(*) FILTER (WHERE type = {UNSUBSCRIBED} AND NOT first) AS unsubscribed,
count(*) FILTER (WHERE type = {UNSUBSCRIBED} AND first) AS unique_unsubscribed,
count(*) FILTER (WHERE type = {OPENED} AND verdict <> {MACHINE}) AS opens,
count(*) FILTER (WHERE type = {OPENED} AND first) AS unique_opens,
count(*) FILTER (WHERE type = {CLICKED} AND verdict <> {MACHINE}) AS clicks,
count(*) FILTER (WHERE type = {CLICKED} AND first) AS unique_clicks,
count(*) FILTER (WHERE type = {REPLIED} AND first) AS unique_replies

-- name: domains
-- Vectis: everything by sending domain.
SELECT s.domain, count(*) FILTER (WHERE e.type = {SENT}), count(*) FILTER (WHERE e.type = {RECEIVED}),
    count(*) FILTER (WHERE e.type = {BOUNCED}), count(*) FILTER (WHERE e.type = {FAILED}),
    coalesce(min(i.spam), 0), coalesce(min(i.size_bytes), 0)::bigint
FROM history e JOIN series s ON s.workspace = e.workspace AND s.id = e.series
LEFT JOIN (
    SELECT s.domain, count(*) FILTER (WHERE i.spam) AS spam, sum(i.size_bytes) AS size_bytes
    FROM bench.inbound i JOIN series s ON s.workspace = $1 AND s.id = i.series
    WHERE i.at >= $2 AND i.at < $3 GROUP BY s.domain) i ON i.domain = s.domain
WHERE e.workspace = $1 AND e.at >= $2 AND e.at < $3 GROUP BY s.domain ORDER BY s.domain

-- name: domain_series
-- Vectis: one sending domain, $4, by $5 (hour or day).
SELECT date_trunc($5, e.at, 'UTC'), count(*) FILTER (WHERE e.type = {SENT}), count(*) FILTER (WHERE e.type = {RECEIVED}),
    count(*) FILTER (WHERE e.type = {BOUNCED}), count(*) FILTER (WHERE e.type = {FAILED})
FROM history e JOIN series s ON s.workspace = e.workspace AND s.id = e.series
WHERE e.workspace = $1 AND e.at >= $2 AND e.at < $3 AND s.domain = $4 GROUP BY 1 ORDER BY 1

-- name: live
-- Vectis: opens and clicks since the workspace began, all and machines', and messages opened and clicked.
SELECT count(*) FILTER (WHERE type = {OPENED} AND verdict <> {MACHINE}),
    count(DISTINCT message) FILTER (WHERE type = {OPENED} AND verdict <> {MACHINE}),
    count(*) FILTER (WHERE type = {CLICKED} AND verdict <> {MACHINE}),
    count(DISTINCT message) FILTER (WHERE type = {CLICKED} AND verdict <> {MACHINE}),
    count(*) FILTER (WHERE type = {OPENED} AND verdict = {MACHINE}),
    count(*) FILTER (WHERE type = {CLICKED} AND verdict = {MACHINE})
FROM history WHERE workspace = $1 AND type IN ({OPENED}, {CLICKED})

-- name: total
-- All of it in one row.
SELECT {counts} FROM ({facts}) AS facts

-- name: buckets
-- By $4: hour, day, week, month (UTC).
SELECT date_trunc($4, at, 'UTC') AS bucket, {counts} FROM ({facts}) AS facts GROUP BY 1 ORDER BY 1

-- name: zone_hours
-- By hour in the zone $4.
SELECT date_trunc('hour', at, $4) AS bucket, {counts} FROM ({facts}) AS facts GROUP BY 1 ORDER BY 1

-- name: groups
-- By a column of series.
SELECT {column} AS name, {counts} FROM ({facts}) AS facts JOIN series ON series.workspace = $1 AND series.id = facts.series
GROUP BY 1 ORDER BY 1

-- name: tags
-- By tag; a message with several counts under each.
SELECT tag AS name, {counts} FROM ({facts}) AS facts JOIN series ON series.workspace = $1 AND series.id = facts.series,
LATERAL unnest(CASE tags WHEN ARRAY[]::text[] THEN ARRAY[''] ELSE tags END) AS tag
GROUP BY 1 ORDER BY 1

-- name: group_days
-- By campaign and day (UTC).
SELECT campaign AS name, date_trunc('day', at, 'UTC') AS bucket, {counts}
FROM ({facts}) AS facts JOIN series ON series.workspace = $1 AND series.id = facts.series GROUP BY 1, 2 ORDER BY 1, 2

-- name: campaigns
-- Campaigns $4, each in a row.
SELECT campaign AS name, {counts} FROM ({facts}) AS facts JOIN series ON series.workspace = $1 AND series.id = facts.series
WHERE campaign = ANY ($4::text[]) GROUP BY 1

-- name: campaign_days
-- Campaign $4 by day (UTC).
SELECT date_trunc('day', at, 'UTC') AS bucket, {counts}
FROM ({facts}) AS facts JOIN series ON series.workspace = $1 AND series.id = facts.series
WHERE campaign = $4 GROUP BY 1 ORDER BY 1

-- name: links
-- Clicks by link, the most clicked first.
SELECT url, count(*) FILTER (WHERE verdict <> {MACHINE}) AS clicks, count(*) FILTER (WHERE verdict = {MACHINE}) AS machine_clicks
FROM history WHERE workspace = $1 AND at >= $2 AND at < $3 AND type = {CLICKED} GROUP BY url
ORDER BY clicks DESC, url COLLATE "C" LIMIT 100

-- name: best
-- Workspaces: campaigns that sent, the best first.
SELECT * FROM (
    SELECT campaign AS name, {counts} FROM ({facts}) AS facts
    JOIN series ON series.workspace = $1 AND series.id = facts.series WHERE campaign <> '' GROUP BY 1) AS found
WHERE sent > 0
ORDER BY unique_opens::numeric / nullif(delivered, 0) DESC NULLS LAST,
    unique_replies::numeric / nullif(delivered, 0) DESC NULLS LAST, name

-- name: reasons
-- Workspaces: bounces by normalised reason.
SELECT r.reason, count(*) FROM history e JOIN bench.reason r ON r.raw = e.reason
WHERE e.workspace = $1 AND e.at >= $2 AND e.at < $3 AND e.type = {BOUNCED}
GROUP BY 1 ORDER BY 2 DESC, r.reason COLLATE "C" LIMIT 5

-- name: heatmap
-- Workspaces: messages by the weekday and hour of their sending in the zone $4, and of them the ones opened, clicked, replied to.
SELECT extract(isodow FROM sent.at AT TIME ZONE $4)::int AS day, extract(hour FROM sent.at AT TIME ZONE $4)::int AS hour,
    count(*), count(o.message), count(c.message), count(r.message)
FROM (SELECT message, min(at) AS at FROM history WHERE workspace = $1 AND type = {SENT} GROUP BY message) AS sent
LEFT JOIN (SELECT DISTINCT message FROM history WHERE workspace = $1 AND type = {OPENED} AND verdict <> {MACHINE}) o USING (message)
LEFT JOIN (SELECT DISTINCT message FROM history WHERE workspace = $1 AND type = {CLICKED} AND verdict <> {MACHINE}) c USING (message)
LEFT JOIN (SELECT DISTINCT message FROM history WHERE workspace = $1 AND type = {REPLIED}) r USING (message)
WHERE sent.at >= $2 AND sent.at < $3 GROUP BY 1, 2

-- name: life
-- Misar: campaign $2 in all its life, and its recipients.
SELECT (SELECT count(*) FROM mail WHERE workspace = $1 AND campaign = $2) AS recipients,
    count(*) FILTER (WHERE type = {SENT}) AS sent, count(*) FILTER (WHERE type = {DELIVERED}) AS delivered,
    count(*) FILTER (WHERE type = {OPENED} AND verdict <> {MACHINE}) AS opens,
    count(*) FILTER (WHERE type = {CLICKED} AND verdict <> {MACHINE}) AS clicks,
    count(*) FILTER (WHERE type = {BOUNCED}) AS bounced, count(*) FILTER (WHERE type = {COMPLAINED}) AS complained,
    count(*) FILTER (WHERE type = {UNSUBSCRIBED}) AS unsubscribed
FROM history JOIN series ON series.workspace = $1 AND series.id = history.series AND series.campaign = $2
WHERE history.workspace = $1

-- name: life_hours
-- Misar: opens and clicks of campaign $2 by hour (UTC).
SELECT date_trunc('hour', at, 'UTC'), count(*) FILTER (WHERE type = {OPENED}), count(*) FILTER (WHERE type = {CLICKED})
FROM history JOIN series ON series.workspace = $1 AND series.id = history.series AND series.campaign = $2
WHERE history.workspace = $1 AND type IN ({OPENED}, {CLICKED}) AND verdict <> {MACHINE} GROUP BY 1

-- name: states
-- Messages created in [$2, $3) under the state that their events have left them in, by $4 (day, or century for all).
SELECT date_trunc($4, m.created_at, 'UTC') AS bucket, coalesce(e.state, 'queued') AS state, count(*)
FROM message m LEFT JOIN (
    SELECT message, CASE max(CASE type WHEN {SENT} THEN 3 WHEN {DELIVERED} THEN 5 WHEN {FAILED} THEN 6
        WHEN {COMPLAINED} THEN 8 WHEN {BOUNCED} THEN CASE bounce WHEN {HARD} THEN 7 ELSE 4 END END)
        WHEN 3 THEN 'sent' WHEN 4 THEN 'bounced' WHEN 5 THEN 'delivered' WHEN 6 THEN 'failed' WHEN 7 THEN 'bounced'
        WHEN 8 THEN 'complained' END AS state
    FROM history WHERE workspace = $1 AND at >= $2 GROUP BY message) e ON e.message = m.id
WHERE m.workspace = $1 AND m.created_at >= $2 AND m.created_at < $3 GROUP BY 1, 2 ORDER BY 1, 2

-- name: messages
-- Optail: messages $2 to $3 of all, newest first, with the number of all.
SELECT id, (SELECT count(*) FROM message WHERE workspace = $1) AS total FROM message WHERE workspace = $1
ORDER BY created_at DESC, id DESC OFFSET $2 LIMIT $3

-- name: bounced_messages
-- Optail: the newest 20 messages that have bounced and not come to more since, with the number of all.
WITH found AS (
    SELECT message FROM history WHERE workspace = $1 AND type IN ({BOUNCED}, {DELIVERED}, {FAILED}, {COMPLAINED})
    GROUP BY message
    HAVING bool_or(bounce = {HARD}) AND NOT bool_or(type = {COMPLAINED})
        OR bool_or(bounce = {SOFT}) AND NOT bool_or(type <> {BOUNCED}))
SELECT id, (SELECT count(*) FROM found) AS total FROM message JOIN found ON found.message = message.id
WHERE workspace = $1 ORDER BY created_at DESC, id DESC LIMIT 20

-- name: searched_messages
-- Optail: the newest 20 messages with $2 in the subject, with the number of all.
SELECT id, count(*) OVER () AS total FROM message WHERE workspace = $1 AND subject ILIKE '%' || $2 || '%'
ORDER BY created_at DESC, id DESC LIMIT 20

-- name: history
-- Optail: what happened to message $2, machines left out.
SELECT type, at FROM history WHERE workspace = $1 AND message = $2
    AND postmeter_place(workspace, message) = postmeter_place($1, $2) AND verdict IS DISTINCT FROM {MACHINE} ORDER BY at, type

-- name: first_sendings
-- The first 100 campaigns, and the first sending of each.
SELECT c.id, min(e.at) FROM campaign c
LEFT JOIN series s ON s.workspace = c.workspace AND s.campaign = c.id
LEFT JOIN history e ON e.workspace = c.workspace AND e.series = s.id AND e.type = {SENT}
WHERE c.workspace = $1 GROUP BY 1 ORDER BY 1 LIMIT 100
