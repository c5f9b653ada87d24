-- name: make_domains
-- Sending domains: $1 workspaces, $2 names, $3 ids; those known stay as they are.
INSERT INTO domain (workspace, name, id)
SELECT * FROM unnest($1::int[], $2::text[], $3::uuid[]) AS n (workspace, name, id) ORDER BY 1, 2
ON CONFLICT DO NOTHING;

-- name: make_campaigns
-- Campaigns: $1 workspaces, $2 ids, $3 names, $4 times of naming; the latest name stays.
INSERT INTO campaign (workspace, id, name, named_at)
SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::timestamptz[]) AS n (workspace, id, name, named_at)
ORDER BY 1, 2
ON CONFLICT (workspace, id) DO UPDATE SET name = excluded.name, named_at = excluded.named_at
WHERE (excluded.named_at, excluded.name) > (campaign.named_at, campaign.name);

-- name: claim_campaigns
-- Keys that are confined to domains $3 put mail of them into campaigns $2 of workspaces $1 and called these $4 at $5. Not
-- where the campaign has mail of the domain that somebody else put there.
INSERT INTO confined_campaign AS known (workspace, id, domain, name, named_at)
SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
    AS n (workspace, id, domain, name, named_at)
WHERE EXISTS (SELECT FROM confined_campaign c WHERE c.workspace = n.workspace AND c.id = n.id AND c.domain = n.domain)
    OR NOT EXISTS (
        SELECT FROM series s WHERE s.workspace = n.workspace AND s.campaign = n.id AND s.domain = n.domain)
ORDER BY 1, 2, 3
ON CONFLICT (workspace, id, domain) DO UPDATE SET name = excluded.name, named_at = excluded.named_at
WHERE (excluded.named_at, excluded.name) > (known.named_at, known.name);

-- name: admit_campaigns
-- Somebody who is not confined put mail of domains $3 into campaigns $2 of workspaces $1.
DELETE FROM confined_campaign c USING unnest($1::int[], $2::text[], $3::text[]) AS n (workspace, id, domain)
WHERE c.workspace = n.workspace AND c.id = n.id AND c.domain = n.domain;

-- name: find_series
-- Series by $1 workspaces and then their dimensions, {columns}, in the order of rollups.DIMENSIONS, tags as JSON.
-- {parameters}: these, typed; {same}: the condition that a series has them.
SELECT s.id, s.usual_from, s.usual_account
FROM unnest($1::int[], {parameters}) WITH ORDINALITY AS n (workspace, {columns}, place)
LEFT JOIN series s ON s.workspace = n.workspace AND {same}
ORDER BY n.place;

-- name: make_series
-- Series of the same parameters as find_series, then {senders}; those known stay as they are. {values}: the columns' values.
INSERT INTO series (workspace, {columns}, usual_from, usual_account)
SELECT workspace, {values}, usual_from, usual_account
FROM unnest($1::int[], {parameters}, {senders}) AS n (workspace, {columns}, usual_from, usual_account)
ORDER BY workspace, {columns}
ON CONFLICT DO NOTHING;

-- name: count_series
-- How many series workspace $1 has.
SELECT count(*) FROM series WHERE workspace = $1;
