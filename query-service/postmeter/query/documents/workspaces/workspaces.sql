-- name: workspace
-- Public id and time zone of workspace $1.
SELECT id, timezone FROM workspace WHERE number = $1

-- name: domain
-- The name of domain $2 of workspace $1.
SELECT name FROM domain WHERE workspace = $1 AND id = $2

-- name: count_campaigns
-- How many campaigns workspace $1 has; only those with a series of domains $2 unless that is null.
SELECT count(*) FROM campaign
WHERE workspace = $1 AND ($2::text[] IS NULL OR id IN (
    SELECT campaign FROM series WHERE workspace = $1 AND domain = ANY ($2::text[])))

-- name: best_campaigns
-- Of the {groups} of a workspace by campaign the {limit} best that sent, by open rate, reply rate and id, and how many sent at
-- all. {no_campaign}: names that no campaign has. Fractions whose terms have less than 19 digits differ by more than 1e-38,
-- so that their first 40 decimals order them exactly.
SELECT campaign, delivered, unique_opens, unique_replies, active FROM (
    SELECT campaign, delivered::numeric, unique_opens::numeric, unique_replies::numeric, count(*) OVER () AS active
    FROM ({groups}) AS counted WHERE sent > 0 AND campaign <> ALL ({no_campaign}::text[])
) AS campaigns
ORDER BY div(unique_opens * 1e40, greatest(delivered, 1)) * least(delivered, 1) DESC,
    div(unique_replies * 1e40, greatest(delivered, 1)) * least(delivered, 1) DESC, campaign COLLATE "C"
LIMIT {limit}

-- name: bounce_reasons
-- The $4 most frequent bounce reasons of workspace $1 over the UTC days [$2, $3), of the series that {series} says.
SELECT reason, sum(bounced)::bigint AS bounced FROM bounce_reason_1d
WHERE workspace = $1 AND bucket >= $2 AND bucket < $3 AND {series}
GROUP BY reason HAVING sum(bounced) > 0 ORDER BY 2 DESC, reason COLLATE "C" LIMIT $4

-- name: total_series
-- Which rows of bounce_reasons: the workspace's sum; the parameters $5 campaign and $6 domains are null.
series = 0 AND $5::text IS NULL AND $6::text[] IS NULL

-- name: some_series
-- Which rows of bounce_reasons: those of campaign $5 (any if null) and domains $6 (any if null).
series = ANY (ARRAY(SELECT id FROM series WHERE workspace = $1
    AND ($5::text IS NULL OR campaign = $5) AND ($6::text[] IS NULL OR domain = ANY ($6::text[]))))

-- name: blacklist_status
-- What the last look-ups of the sending IPs of workspace $1 found.
SELECT count(*) AS ips_checked, coalesce(bool_or(listed_in <> '{}'), false) AS any_listed, max(checked_at) AS last_check
FROM sending_ip WHERE workspace = $1 AND checked_at IS NOT NULL

-- name: sending_ips
-- At most $2 sending IPs of workspace $1 and the zones that list them, the listed ones first.
SELECT ip, checked_at, listed_in FROM sending_ip WHERE workspace = $1 ORDER BY listed_in = '{}', ip LIMIT $2
