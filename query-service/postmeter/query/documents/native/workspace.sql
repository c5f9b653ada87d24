-- name: workspace
-- Public id, name and time zone of workspace $1.
SELECT id, name, timezone FROM workspace WHERE number = $1
