-- name: live
-- Every workspace's live totals of shard $1.
SELECT workspace, opens, unique_opens, machine_opens, clicks, unique_clicks, machine_clicks
FROM live_total WHERE shard = $1;
