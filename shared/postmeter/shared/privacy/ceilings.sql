-- name: ceilings
-- What workspaces have said: levels, and those of their domains as three arrays of the same order. No row of a workspace
-- that has said nothing, and of whose recipients none has chosen.
SELECT s.workspace, s.opens, s.clicks, s.unknown_opens, s.unknown_clicks, s.denied_opens, s.denied_clicks,
    d.names, d.opens AS domain_opens, d.clicks AS domain_clicks
FROM privacy_setting s
LEFT JOIN LATERAL (
    SELECT array_agg(domain) AS names, array_agg(opens) AS opens, array_agg(clicks) AS clicks
    FROM (SELECT domain, opens, clicks FROM privacy_domain p WHERE p.workspace = s.workspace LIMIT 1000) AS of_domain
) AS d ON true
LIMIT 1000000;

-- name: choices
-- What recipients ($1 workspaces, $2 their hashes) have chosen; no row of who has not.
SELECT c.workspace, c.to_hash, c.opens, c.clicks
FROM unnest($1::int[], $2::text[]) AS n (workspace, to_hash)
JOIN recipient_choice c ON c.workspace = n.workspace AND c.to_hash = n.to_hash;
