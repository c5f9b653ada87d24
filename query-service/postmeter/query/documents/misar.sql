-- numbers: postmeter.shared.storage.rollups.DayState

-- name: first_day
-- The first day in which anything happened in workspace $1.
SELECT min(day) FROM activity_day WHERE workspace = $1

-- name: hours
-- The first $5 hours from $3 to before $4 in which messages of campaign $2 of workspace $1 were opened or clicked by people or
-- proxies: of days that are summed up by campaign, which is dimension {campaign}, from these sums (ADR 0063).
SELECT bucket, sum(opens)::bigint AS opens, sum(clicks)::bigint AS clicks FROM (
    SELECT bucket, coalesce(human_opens, 0) + coalesce(proxy_opens, 0) AS opens, coalesce(human_clicks, 0) AS clicks
    FROM activity_by_1h
    WHERE workspace = $1 AND dimension = {campaign} AND value = $2 AND bucket >= $3 AND bucket < $4
        AND (human_opens > 0 OR proxy_opens > 0 OR human_clicks > 0)
        AND date_bin('24 hours', bucket, 'epoch') IN (
            SELECT day FROM activity_day WHERE workspace = $1 AND state = {DayState.SUMMED})
    UNION ALL
    SELECT bucket, coalesce(human_opens, 0) + coalesce(proxy_opens, 0), coalesce(human_clicks, 0)
    FROM activity_day AS changed CROSS JOIN LATERAL (
        SELECT * FROM activity_1h WHERE workspace = $1 AND bucket >= $3 AND bucket < $4
            AND bucket >= changed.day AND bucket < changed.day + interval '24 hours'
            AND (human_opens > 0 OR proxy_opens > 0 OR human_clicks > 0)
            AND series = ANY (ARRAY(SELECT id FROM series WHERE workspace = $1 AND campaign = $2))
        OFFSET 0) AS counted
    WHERE changed.workspace = $1 AND changed.state <> {DayState.SUMMED}
) AS row GROUP BY bucket ORDER BY bucket LIMIT $5

-- name: hours_of_domains
-- The same of domains $6 alone, which campaigns have no sums of.
SELECT bucket, sum(coalesce(human_opens, 0) + coalesce(proxy_opens, 0))::bigint AS opens,
    coalesce(sum(human_clicks), 0)::bigint AS clicks
FROM activity_1h
WHERE workspace = $1 AND bucket >= $3 AND bucket < $4 AND (human_opens > 0 OR proxy_opens > 0 OR human_clicks > 0)
    AND series = ANY (ARRAY(SELECT id FROM series WHERE workspace = $1 AND campaign = $2 AND domain = ANY ($6::text[])))
GROUP BY bucket ORDER BY bucket LIMIT $5
