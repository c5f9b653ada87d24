-- name: show
-- What workspace $1 (public id) has said, nulls where it has said nothing; no row where there is no such workspace.
SELECT s.burst_clicks, s.burst_links, s.burst_milliseconds, s.all_links, s.scan_seconds, s.early_seconds
FROM workspace w LEFT JOIN verdict_setting s ON s.workspace = w.number WHERE w.id = $1

-- name: set
-- Store for workspace $1 (public id) the thresholds $2 to $7, in the order of postmeter.shared.storage.thresholds; null: as
-- before, or the defaults $8 to $13. The thresholds as they are then; no row where there is no such workspace.
INSERT INTO verdict_setting AS known
    (workspace, burst_clicks, burst_links, burst_milliseconds, all_links, scan_seconds, early_seconds)
SELECT number, coalesce($2::int, $8::int), coalesce($3::int, $9::int), coalesce($4::int, $10::int),
    coalesce($5::int, $11::int), coalesce($6::int, $12::int), coalesce($7::int, $13::int)
FROM workspace WHERE id = $1
ON CONFLICT (workspace) DO UPDATE SET burst_clicks = coalesce($2::int, known.burst_clicks),
    burst_links = coalesce($3::int, known.burst_links),
    burst_milliseconds = coalesce($4::int, known.burst_milliseconds),
    all_links = coalesce($5::int, known.all_links), scan_seconds = coalesce($6::int, known.scan_seconds),
    early_seconds = coalesce($7::int, known.early_seconds)
RETURNING burst_clicks, burst_links, burst_milliseconds, all_links, scan_seconds, early_seconds
