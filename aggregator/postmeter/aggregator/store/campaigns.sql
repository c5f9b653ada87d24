-- name: change_campaigns
-- Campaigns $2 of workspaces $1 are called $3 since $4, and their status is $5 since $6; what was said last stays.
INSERT INTO campaign AS known (workspace, id, name, named_at, status, status_at)
SELECT workspace, id, name, named_at, status, status_at
FROM unnest($1::int[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::timestamptz[])
    AS n (workspace, id, name, named_at, status, status_at)
ORDER BY workspace, id
ON CONFLICT (workspace, id) DO UPDATE SET
    name = CASE WHEN (excluded.named_at, excluded.name) > (known.named_at, known.name)
        THEN excluded.name ELSE known.name END,
    named_at = greatest(known.named_at, excluded.named_at),
    status = CASE WHEN (excluded.status_at, excluded.status) > (known.status_at, known.status)
        THEN excluded.status ELSE known.status END,
    status_at = greatest(known.status_at, excluded.status_at);

-- name: campaigns_of_series
-- The campaigns and domains of series ($1 workspaces, $2 ids).
SELECT s.workspace, s.id, s.campaign, s.domain FROM unnest($1::int[], $2::bigint[]) AS n (workspace, id)
JOIN series s ON s.workspace = n.workspace AND s.id = n.id;

-- name: sendings_of_messages
-- The earliest of times $3 of each campaign of messages ($1 workspaces, $2 ids).
SELECT m.workspace, m.campaign, min(n.at) AS at
FROM unnest($1::int[], $2::uuid[], $3::timestamptz[]) AS n (workspace, id, at)
JOIN mail m ON m.workspace = n.workspace AND m.id = n.id
GROUP BY m.workspace, m.campaign;

-- name: first_sendings
-- When campaigns ($1 workspaces, $2 ids) were sent first; those never sent are left out.
SELECT c.workspace, c.id, c.sent_at FROM unnest($1::int[], $2::text[]) AS n (workspace, id)
JOIN campaign c ON c.workspace = n.workspace AND c.id = n.id
WHERE c.sent_at IS NOT NULL;

-- name: first_confined_sendings
-- Parts of campaigns ($1 workspaces, $2 ids, $3 domains) that are there only because confined keys said so, and when each
-- was sent first; infinity: not yet.
SELECT c.workspace, c.id, c.domain, coalesce(c.sent_at, 'infinity') AS sent_at
FROM unnest($1::int[], $2::text[], $3::text[]) AS n (workspace, id, domain)
JOIN confined_campaign c ON c.workspace = n.workspace AND c.id = n.id AND c.domain = n.domain;

-- name: raise_confined_sendings
-- The part of domain $3 of campaigns $2 of workspaces $1 was sent first at $4, or before.
UPDATE confined_campaign c SET sent_at = n.at
FROM unnest($1::int[], $2::text[], $3::text[], $4::timestamptz[]) AS n (workspace, id, domain, at)
WHERE c.workspace = n.workspace AND c.id = n.id AND c.domain = n.domain
    AND (c.sent_at IS NULL OR c.sent_at > n.at);

-- name: raise_sendings
-- Campaigns $2 of workspaces $1 were sent first at $3, or before.
INSERT INTO campaign AS known (workspace, id, name, sent_at)
SELECT workspace, id, '', at FROM unnest($1::int[], $2::text[], $3::timestamptz[]) AS n (workspace, id, at)
ORDER BY workspace, id
ON CONFLICT (workspace, id) DO UPDATE SET sent_at = excluded.sent_at
WHERE known.sent_at IS NULL OR known.sent_at > excluded.sent_at;
