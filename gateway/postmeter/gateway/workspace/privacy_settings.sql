-- name: workspace_number
-- The number of the workspace with the public id $1.
SELECT number FROM workspace WHERE id = $1

-- name: show
-- What workspace $1 has said; no row: nothing.
SELECT opens, clicks, unknown_opens, unknown_clicks, denied_opens, denied_clicks, history_months, messages_months,
    contacts_months, consent_months
FROM privacy_setting WHERE workspace = $1

-- name: domains
-- The ceilings of workspace $1's sending domains, at most $2.
SELECT domain, opens, clicks FROM privacy_domain WHERE workspace = $1 ORDER BY domain COLLATE "C" LIMIT $2

-- name: begin
-- See that workspace $1 has a row of settings.
INSERT INTO privacy_setting (workspace) VALUES ($1) ON CONFLICT (workspace) DO NOTHING

-- name: hold
-- Let no other change of workspace $1's settings in between.
SELECT FROM privacy_setting WHERE workspace = $1 FOR UPDATE

-- name: set
-- Store of workspace $1: levels of opens and clicks ($2, $3), of who has not chosen ($4, $5), of who refused ($6, $7), and
-- months of history, messages, contacts and consent ($8 to $11).
UPDATE privacy_setting SET opens = $2, clicks = $3, unknown_opens = $4, unknown_clicks = $5, denied_opens = $6,
    denied_clicks = $7, history_months = $8, messages_months = $9, contacts_months = $10, consent_months = $11
WHERE workspace = $1

-- name: remove_domains
-- Forget the ceilings of workspace $1's sending domains that are not among $2.
DELETE FROM privacy_domain WHERE workspace = $1 AND domain <> ALL ($2::text[])

-- name: set_domains
-- Store of workspace $1's sending domains $2 the levels of opens ($3) and of clicks ($4).
INSERT INTO privacy_domain AS known (workspace, domain, opens, clicks)
SELECT $1, given.* FROM unnest($2::text[], $3::smallint[], $4::smallint[]) AS given (domain, opens, clicks)
ORDER BY given.domain
ON CONFLICT (workspace, domain) DO UPDATE SET opens = excluded.opens, clicks = excluded.clicks
WHERE (known.opens, known.clicks) IS DISTINCT FROM (excluded.opens, excluded.clicks)
