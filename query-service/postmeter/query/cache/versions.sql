-- name: versions
-- The versions of workspaces $1, those of them that have any; workspace 0's rows stand for all.
SELECT workspace, sum(version)::bigint AS version FROM answer_version WHERE workspace = ANY ($1::int[]) GROUP BY workspace
