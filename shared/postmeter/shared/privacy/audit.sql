-- name: record
-- Who ($2) did what ($3) to what ($4) in workspace $1; $5: details, a JSON object.
INSERT INTO audit (workspace, actor, action, target, details) VALUES ($1, $2, $3, $4, $5::text::jsonb)

-- name: record_by_id
-- The same of the workspace with the public id $1.
INSERT INTO audit (workspace, actor, action, target, details)
SELECT number, $2, $3, $4, $5::text::jsonb FROM workspace WHERE id = $1
