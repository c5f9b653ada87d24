-- name: known_sources
-- Anonymous sources $2 of workspaces $1: their dimensions and series.
SELECT s.workspace, s.id, s.campaign, s.domain, s.provider, s.template, s.series
FROM unnest($1::int[], $2::uuid[]) AS n (workspace, id)
JOIN anonymous_source s ON s.workspace = n.workspace AND s.id = n.id;

-- name: make_source
-- A source that nobody knew.
INSERT INTO anonymous_source (workspace, id, campaign, domain, provider, template, series)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING;

-- name: hold_source
-- The dimensions of source $2 of workspace $1, which nobody else changes until the transaction ends.
SELECT workspace, id, campaign, domain, provider, template, series FROM anonymous_source
WHERE workspace = $1 AND id = $2 FOR UPDATE;

-- name: change_source
-- Not all messages of source $2 of workspace $1 have the same dimensions: these are left, of series $7.
UPDATE anonymous_source SET campaign = $3, domain = $4, provider = $5, template = $6, series = $7
WHERE workspace = $1 AND id = $2;
