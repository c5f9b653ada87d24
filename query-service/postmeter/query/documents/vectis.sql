-- name: domains
-- The domains of workspace $1, the oldest first; only those named in $2 unless that is null. At most $3.
SELECT id, name FROM domain
WHERE workspace = $1 AND ($2::text[] IS NULL OR name = ANY ($2::text[]))
ORDER BY id LIMIT $3

-- name: domain
-- The name of domain $2 of workspace $1.
SELECT name FROM domain WHERE workspace = $1 AND id = $2

-- name: live
-- Since when workspace $1 exists and its live totals as committed, one row per shard.
SELECT workspace.created_at, live_total.shard, live_total.opens, live_total.unique_opens, live_total.machine_opens,
    live_total.clicks, live_total.unique_clicks, live_total.machine_clicks
FROM workspace LEFT JOIN live_total ON live_total.workspace = workspace.number
WHERE workspace.number = $1
