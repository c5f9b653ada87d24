-- name: shown
-- A campaign c as callers who see domains {domains} (null: all) see it. Theirs is only what confined keys said of it where
-- nobody else has put mail of these domains into it (ADR 0035).
SELECT c.id,
    coalesce(CASE WHEN NOT claim.only THEN nullif(c.name, '') END, claim.name, '') AS name,
    CASE WHEN claim.only THEN '' ELSE c.status END AS status,
    CASE WHEN claim.only THEN claim.sent_at ELSE c.sent_at END AS sent_at,
    CASE WHEN claim.only THEN claim.created_at ELSE c.created_at END AS created_at
FROM campaign c CROSS JOIN LATERAL (
    SELECT (array_agg(k.name ORDER BY k.named_at DESC, k.name DESC) FILTER (WHERE k.name <> ''))[1] AS name,
        min(k.sent_at) AS sent_at, min(k.created_at) AS created_at,
        {domains}::text[] IS NOT NULL AND NOT EXISTS (
            SELECT FROM series s WHERE s.workspace = c.workspace AND s.campaign = c.id
                AND s.domain = ANY ({domains}::text[]) AND NOT EXISTS (
                    SELECT FROM confined_campaign o
                    WHERE o.workspace = s.workspace AND o.id = s.campaign AND o.domain = s.domain)) AS only
    FROM confined_campaign k
    WHERE k.workspace = c.workspace AND k.id = c.id
        AND ({domains}::text[] IS NULL OR k.domain = ANY ({domains}::text[]))) AS claim

-- name: find_campaign
-- Campaign $2 of workspace $1; a caller confined to domains $3 needs a series of one of them.
{shown}
WHERE c.workspace = $1 AND c.id = $2 AND ($3::text[] IS NULL OR EXISTS (
    SELECT FROM series WHERE workspace = $1 AND campaign = $2 AND domain = ANY ($3::text[])))

-- name: list_campaigns
-- Up to $4 campaigns of workspace $1 behind id $2 (null: from the first), by id; only of domains $3 unless null.
{shown}
WHERE c.workspace = $1 AND ($2::text IS NULL OR c.id > $2) AND ($3::text[] IS NULL OR c.id IN (
    SELECT campaign FROM series WHERE workspace = $1 AND domain = ANY ($3::text[])))
ORDER BY c.id LIMIT $4

-- name: campaign_names
-- Campaigns $2 of workspace $1; only those with a series of domains $3 unless that is null.
{shown}
WHERE c.workspace = $1 AND c.id = ANY ($2::text[]) AND ($3::text[] IS NULL OR c.id IN (
    SELECT campaign FROM series WHERE workspace = $1 AND domain = ANY ($3::text[])))
