-- numbers: postmeter.shared.stream.events.EventType
-- numbers: postmeter.shared.stream.events.Engagement
-- numbers: postmeter.shared.stream.events.Verdict

-- name: delivered_earlier
-- Of the messages ($1 workspaces, $2 ids), whose slots are held, those that have clicks and are now known to have been delivered
-- at $3, which is earlier than what was known, `was`.
SELECT n.workspace, n.message, n.at, m.delivered_at AS was
FROM unnest($1::int[], $2::uuid[], $3::timestamptz[]) AS n (workspace, message, at)
JOIN engagement g ON g.workspace = n.workspace AND g.message = n.message AND g.kind = {Engagement.CLICK}
JOIN message m ON m.workspace = n.workspace AND m.id = n.message AND n.at < coalesce(m.delivered_at, 'infinity');

-- name: near
-- The clicks of messages ($1 workspaces, $2 ids) from $3 to $4, the latest $5 of them: those that count and that each
-- by itself are a person's ($6: reasons that others gave them), and those with the reasons $7. Times, URLs, user agents
-- and reasons in the order of time. $8 to $9: all of it lies there, said once for all so that other partitions are left
-- out.
SELECT n.workspace, n.message, m.links, m.delivered_at, c.at, c.url, c.agent, c.reason
FROM unnest($1::int[], $2::uuid[], $3::timestamptz[], $4::timestamptz[]) AS n (workspace, message, low, high)
JOIN message m ON m.workspace = n.workspace AND m.id = n.message
JOIN LATERAL (
    SELECT array_agg(e.at ORDER BY e.at) AS at, array_agg(e.url ORDER BY e.at) AS url,
        array_agg(e.user_agent ORDER BY e.at) AS agent, array_agg(e.verdict_reason ORDER BY e.at) AS reason
    FROM (
        SELECT at, url, user_agent, verdict_reason FROM history
        WHERE workspace = n.workspace AND message = n.message AND at BETWEEN n.low AND n.high AND at BETWEEN $8 AND $9
            AND postmeter_place(workspace, message) = postmeter_place(n.workspace, n.message)
            AND postmeter_second(at) BETWEEN postmeter_second(n.low) AND postmeter_second(n.high)
            AND type = {EventType.CLICKED} AND (verdict_reason = ANY ($7::text[])
                OR counted AND (verdict = {Verdict.HUMAN} OR verdict_reason = ANY ($6::text[])))
        ORDER BY postmeter_second(at) DESC, at DESC LIMIT $5) AS e
    HAVING count(*) > 0) AS c ON true;

-- name: plan_anew
-- Plan each statement for its own parameters until the transaction ends. `judge` touches whole partitions of the history
-- where it is planned while one of them is empty and known to be.
SET LOCAL plan_cache_mode = force_custom_plan;

-- name: judge
-- Clicks ($1 workspaces, $2 messages, $3 times, $4 user agents) that so far had the reasons $5 have the reasons $6, null: a
-- person's; verdict and reason are stored as $7.
UPDATE event e SET verdict = n.verdict, verdict_reason = NULL
FROM unnest($1::int[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::smallint[])
    AS n (workspace, message, at, agent, was, reason, verdict)
WHERE e.workspace = n.workspace AND e.message = n.message AND e.at = n.at AND e.type = {EventType.CLICKED} AND e.counted IS NOT FALSE
    AND postmeter_place(e.workspace, e.message) = postmeter_place(n.workspace, n.message)
    AND postmeter_second(e.at) = postmeter_second(n.at)
    AND CASE WHEN e.user_agent_id IS NULL THEN e.user_agent
        ELSE (SELECT u.text FROM user_agent u WHERE u.workspace = e.workspace AND u.id = e.user_agent_id)
        END IS NOT DISTINCT FROM n.agent
    AND (n.was IS NULL AND e.verdict = {Verdict.HUMAN} OR coalesce(e.verdict_reason, postmeter_verdict_reason(e.verdict)) = n.was)
RETURNING e.workspace, e.at, e.series, CASE WHEN e.link IS NULL THEN e.url
    ELSE (SELECT l.url FROM link l WHERE l.workspace = e.workspace AND l.id = e.link) END AS url, n.was, n.reason;

-- name: first_clicks
-- Of messages ($1 workspaces, $2 ids) with other clicks of people than before, the earliest of which is, or was, at $3:
-- when the first was (infinite: none) and when it is now (null: none), and when the message was sent. Only those for
-- which that is not the same. No time is before $4.
SELECT * FROM (
    SELECT g.workspace, g.message, g.series, g.at AS was, m.sent_at, (
        SELECT e.at FROM history e
        WHERE e.workspace = g.workspace AND e.message = g.message AND e.at >= n.at AND e.at >= $4 AND e.type = {EventType.CLICKED}
            AND postmeter_place(e.workspace, e.message) = postmeter_place(g.workspace, g.message)
            AND postmeter_second(e.at) >= postmeter_second(n.at) AND e.counted AND e.verdict = {Verdict.HUMAN}
        ORDER BY postmeter_second(e.at), e.at LIMIT 1) AS at
    FROM unnest($1::int[], $2::uuid[], $3::timestamptz[]) AS n (workspace, message, at)
    JOIN engagement g ON g.workspace = n.workspace AND g.message = n.message AND g.kind = {Engagement.CLICK}
        AND g.at >= n.at
    JOIN message m ON m.workspace = n.workspace AND m.id = n.message) AS f
WHERE coalesce(at, 'infinity') <> was;

-- name: move_first_clicks
-- The first clicks of messages ($1 workspaces, $2 ids) were at $3.
UPDATE engagement g SET at = n.at
FROM unnest($1::int[], $2::uuid[], $3::timestamptz[]) AS n (workspace, message, at)
WHERE g.workspace = n.workspace AND g.message = n.message AND g.kind = {Engagement.CLICK};

-- name: acquit
-- Take back what the clicks of messages ($1 workspaces, $2 ids) were found to be by their company, the reasons $3.
UPDATE event e SET verdict = {Verdict.HUMAN}, verdict_reason = NULL
FROM unnest($1::int[], $2::uuid[]) AS n (workspace, message)
WHERE e.workspace = n.workspace AND e.message = n.message AND e.type = {EventType.CLICKED}
    AND postmeter_place(e.workspace, e.message) = postmeter_place(n.workspace, n.message)
    AND coalesce(e.verdict_reason, postmeter_verdict_reason(e.verdict)) = ANY ($3::text[])
RETURNING e.workspace, e.message, e.at, e.series, CASE WHEN e.link IS NULL THEN e.url
    ELSE (SELECT l.url FROM link l WHERE l.workspace = e.workspace AND l.id = e.link) END AS url;
