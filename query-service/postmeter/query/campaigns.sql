-- name: find_campaign
-- Campaign $2 of workspace $1; a caller confined to domains $3 needs a series of one of them.
SELECT id, name, status, sent_at, created_at FROM campaign
WHERE workspace = $1 AND id = $2 AND ($3::text[] IS NULL OR EXISTS (
    SELECT FROM series WHERE workspace = $1 AND campaign = $2 AND domain = ANY ($3::text[])))

-- name: list_campaigns
-- Up to $4 campaigns of workspace $1 behind id $2 (null: from the first), by id; only of domains $3 unless null.
SELECT id, name, status, sent_at, created_at FROM campaign
WHERE workspace = $1 AND ($2::text IS NULL OR id > $2) AND ($3::text[] IS NULL OR id IN (
    SELECT campaign FROM series WHERE workspace = $1 AND domain = ANY ($3::text[])))
ORDER BY id LIMIT $4

-- name: campaign_names
-- Names of campaigns $2 of workspace $1.
SELECT id, name FROM campaign WHERE workspace = $1 AND id = ANY ($2::text[])
