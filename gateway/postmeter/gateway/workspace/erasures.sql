-- name: order
-- Erasure $2 of workspace $1, of recipient $3, is wanted by $4.
INSERT INTO erasure (workspace, id, to_hash, requested_by) VALUES ($1, $2, $3, $4);

-- name: find
-- Erasure $2 of workspace $1.
SELECT removed::text AS removed, completed_at FROM erasure WHERE workspace = $1 AND id = $2;
