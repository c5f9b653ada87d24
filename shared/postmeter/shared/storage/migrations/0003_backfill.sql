-- What an aggregator counts while this runs would be missing here: its flushes wait. One of the version before does
-- not count cohorts at all, so it must not run any more when this is done; what comes meanwhile waits in the streams.
SET LOCAL TimeZone = 'UTC';
LOCK TABLE message, engagement, activity_15m, activity_1h, activity_1d IN SHARE MODE;

-- Every rollup gets the series 0: the sum of all series of its workspace (rollups.TOTAL).
INSERT INTO activity_15m
SELECT workspace, 0, bucket, sum(sent), sum(delivered), sum(deferred), sum(hard_bounced), sum(soft_bounced),
    sum(failed), sum(complained), sum(unsubscribed), sum(unique_unsubscribed), sum(human_opens), sum(proxy_opens),
    sum(machine_opens), sum(unique_opens), sum(human_clicks), sum(machine_clicks), sum(unique_clicks), sum(replies),
    sum(unique_replies), sum(received), sum(spam), sum(size_bytes)
FROM activity_15m GROUP BY workspace, bucket;
INSERT INTO activity_1h
SELECT workspace, 0, bucket, sum(sent), sum(delivered), sum(deferred), sum(hard_bounced), sum(soft_bounced),
    sum(failed), sum(complained), sum(unsubscribed), sum(unique_unsubscribed), sum(human_opens), sum(proxy_opens),
    sum(machine_opens), sum(unique_opens), sum(human_clicks), sum(machine_clicks), sum(unique_clicks), sum(replies),
    sum(unique_replies), sum(received), sum(spam), sum(size_bytes)
FROM activity_1h GROUP BY workspace, bucket;
INSERT INTO activity_1d
SELECT workspace, 0, bucket, sum(sent), sum(delivered), sum(deferred), sum(hard_bounced), sum(soft_bounced),
    sum(failed), sum(complained), sum(unsubscribed), sum(unique_unsubscribed), sum(human_opens), sum(proxy_opens),
    sum(machine_opens), sum(unique_opens), sum(human_clicks), sum(machine_clicks), sum(unique_clicks), sum(replies),
    sum(unique_replies), sum(received), sum(spam), sum(size_bytes)
FROM activity_1d GROUP BY workspace, bucket;

-- Messages of before this migration, as far back as each table is kept and as far ahead as there are partitions.
INSERT INTO cohort_created_1s
SELECT workspace, coalesce(series, 0), date_trunc('second', created_at) AS start,
    count(*) FILTER (WHERE state = 1), count(*) FILTER (WHERE state = 2), count(*) FILTER (WHERE state = 3),
    count(*) FILTER (WHERE state = 4), count(*) FILTER (WHERE state = 5), count(*) FILTER (WHERE state = 6),
    count(*) FILTER (WHERE state = 7), count(*) FILTER (WHERE state = 8)
FROM message
WHERE created_at >= date_trunc('month', now()) - interval '4 months'
    AND created_at < date_trunc('month', now()) + interval '2 months'
GROUP BY workspace, start, ROLLUP (series);
INSERT INTO cohort_created_15m
SELECT workspace, coalesce(series, 0), date_bin('15 minutes', created_at, 'epoch') AS start,
    count(*) FILTER (WHERE state = 1), count(*) FILTER (WHERE state = 2), count(*) FILTER (WHERE state = 3),
    count(*) FILTER (WHERE state = 4), count(*) FILTER (WHERE state = 5), count(*) FILTER (WHERE state = 6),
    count(*) FILTER (WHERE state = 7), count(*) FILTER (WHERE state = 8)
FROM message
WHERE created_at >= date_trunc('month', now()) - interval '24 months'
    AND created_at < date_trunc('month', now()) + interval '2 months'
GROUP BY workspace, start, ROLLUP (series);
INSERT INTO cohort_created_1h
SELECT workspace, series, date_bin('1 hour', bucket, 'epoch'), sum(queued), sum(sending), sum(sent),
    sum(soft_bounced), sum(delivered), sum(failed), sum(hard_bounced), sum(complained)
FROM cohort_created_15m GROUP BY 1, 2, 3;
INSERT INTO cohort_created_1d
SELECT workspace, series, date_bin('1 day', bucket, 'epoch'), sum(queued), sum(sending), sum(sent),
    sum(soft_bounced), sum(delivered), sum(failed), sum(hard_bounced), sum(complained)
FROM cohort_created_1h GROUP BY 1, 2, 3;
INSERT INTO cohort_sent_15m
SELECT m.workspace, coalesce(m.series, 0), date_bin('15 minutes', m.sent_at, 'epoch') AS start, count(*),
    count(o.at), count(c.at), count(r.at)
FROM message m
LEFT JOIN engagement o ON o.workspace = m.workspace AND o.message = m.id AND o.kind = 1
LEFT JOIN engagement c ON c.workspace = m.workspace AND c.message = m.id AND c.kind = 2
LEFT JOIN engagement r ON r.workspace = m.workspace AND r.message = m.id AND r.kind = 3
WHERE m.sent_at >= date_trunc('month', now()) - interval '24 months'
    AND m.sent_at < date_trunc('month', now()) + interval '2 months'
GROUP BY m.workspace, start, ROLLUP (m.series);
INSERT INTO cohort_sent_1h
SELECT workspace, series, date_bin('1 hour', bucket, 'epoch'), sum(mailed), sum(opened), sum(clicked), sum(replied)
FROM cohort_sent_15m GROUP BY 1, 2, 3;

-- When campaigns were sent first. The reasons of earlier bounces are not known.
UPDATE campaign SET sent_at = first.at
FROM (SELECT workspace, campaign, min(sent_at) AS at FROM message GROUP BY 1, 2) first
WHERE first.workspace = campaign.workspace AND first.campaign = campaign.id;
