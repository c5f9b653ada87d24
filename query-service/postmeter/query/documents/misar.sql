-- name: hours
-- The first $6 hours from $4 to before $5 in which messages of campaign $2 of workspace $1 (and domains $3 unless
-- null) were opened or clicked by people or proxies.
SELECT bucket, sum(coalesce(human_opens, 0) + coalesce(proxy_opens, 0))::bigint AS opens,
    coalesce(sum(human_clicks), 0)::bigint AS clicks
FROM activity_1h
WHERE workspace = $1 AND bucket >= $4 AND bucket < $5 AND (human_opens > 0 OR proxy_opens > 0 OR human_clicks > 0)
    AND series = ANY (ARRAY(SELECT id FROM series WHERE workspace = $1 AND campaign = $2
        AND ($3::text[] IS NULL OR domain = ANY ($3::text[]))))
GROUP BY bucket ORDER BY bucket LIMIT $6
