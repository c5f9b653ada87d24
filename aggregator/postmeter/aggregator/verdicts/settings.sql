-- name: settings
-- Thresholds of the workspaces that have their own, in the order of postmeter.shared.storage.thresholds.
SELECT workspace, burst_clicks, burst_links, burst_milliseconds, all_links, scan_seconds, early_seconds
FROM verdict_setting LIMIT 1000000;
