-- name: add_bounce_reasons
-- Bounces: $1 workspaces, $2 days, $3 series, $4 reasons, $5 how many more.
INSERT INTO bounce_reason_1d AS known (workspace, bucket, series, reason, bounced)
SELECT * FROM unnest($1::int[], $2::timestamptz[], $3::bigint[], $4::text[], $5::bigint[])
    AS n (workspace, bucket, series, reason, bounced)
ORDER BY workspace, bucket, series, reason
ON CONFLICT (workspace, bucket, series, reason) DO UPDATE SET bounced = known.bounced + excluded.bounced;
