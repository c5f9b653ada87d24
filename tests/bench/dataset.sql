-- name: prepare
-- Tables and functions of the loader's own, in a schema that no service reads.
DROP SCHEMA IF EXISTS bench CASCADE;
CREATE SCHEMA bench;
-- From 0 to 1, depending on nothing but its arguments: the same data set each time, in whatever order it is made.
CREATE FUNCTION bench.noise(n bigint, salt bigint) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (hashint8extended(n, salt) & 1125899906842623)::float8 / 1125899906842624;
-- 0 to 1 evenly into 0 to 1 days, with little at night and much at noon.
CREATE FUNCTION bench.hour(part float8) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN part + 0.12 * sin(2 * pi() * part);
-- What messages have in common: a row of `series`, and how its readers are.
CREATE UNLOGGED TABLE bench.slot (
    slot int PRIMARY KEY, campaign text, domain text, provider text, template text, tags text[], mailbox text,
    series bigint, open_rate float8, click_rate float8);
CREATE UNLOGGED TABLE bench.message (
    n bigint, id uuid, series bigint, campaign text, domain text, provider text, template text, tags text[], mailbox text,
    created timestamptz, sent timestamptz, delivered timestamptz, fate text, opens int, clicks int);
CREATE UNLOGGED TABLE bench.happened (
    message uuid, series bigint, at timestamptz, type smallint, bounce smallint, verdict smallint,
    verdict_reason text, reason text, url text, user_agent text, ip text);
-- The history keeps neither size nor spam of inbound mail.
CREATE UNLOGGED TABLE bench.inbound (at timestamptz, series bigint, size_bytes bigint, spam bool);
CREATE UNLOGGED TABLE bench.reason (raw text PRIMARY KEY, reason text);

-- name: workspace
-- A workspace with $1 as its id, in zone $2, since $3. Returns its number.
INSERT INTO workspace (id, name, timezone, created_at) VALUES ($1, 'Bench', $2, $3) RETURNING number;

-- name: slots
-- Two slots for each of $1 campaigns, and 80 for mail without one: 5 domains, 4 providers, 24 templates, 8 sets of tags;
-- each once for 5 mailbox providers, '' among them. Slots below 0 are of inbound mail.
INSERT INTO bench.slot
SELECT 5 * place + m.number - 1, campaign, domain, provider, template, tags, m.mailbox, NULL::bigint, open_rate, click_rate
FROM (
    SELECT 2 * c + p AS place, 'campaign-' || lpad(c::text, 4, '0') AS campaign, 'mail' || c % 5 || '.example' AS domain,
        (ARRAY['SENDGRID', 'POSTMARK', 'SES', 'MAILGUN'])[1 + (c + p) % 4] AS provider, 'template-' || c % 20 AS template,
        string_to_array(
            (ARRAY['', 'news', 'news,spring', 'sale', 'new,sale', 'b2b', 'b2b,trial', 'digest'])[1 + c % 8], ',') AS tags,
        0.15 + 0.3 * bench.noise(c, 21) AS open_rate, 0.08 + 0.12 * bench.noise(c, 22) AS click_rate
    FROM generate_series(0, $1::int - 1) AS c, generate_series(0, 1) AS p
    UNION ALL
    SELECT 2 * $1 + 16 * d + 4 * t + p, '', 'mail' || d || '.example',
        (ARRAY['SENDGRID', 'POSTMARK', 'SES', 'MAILGUN'])[1 + p], (ARRAY['receipt', 'welcome', 'reset', ''])[1 + t],
        ARRAY[]::text[], 0.4, 0.1
    FROM generate_series(0, 4) AS d, generate_series(0, 3) AS t, generate_series(0, 3) AS p) AS outbound,
unnest(ARRAY['gmail', 'outlook', 'yahoo', 'icloud', '']) WITH ORDINALITY AS m (mailbox, number)
UNION ALL
SELECT -1 - d, '', 'mail' || d || '.example', '', '', ARRAY[]::text[], '', NULL, 0, 0 FROM generate_series(0, 4) AS d;

-- name: series
-- The series of the slots in workspace $1.
INSERT INTO series (workspace, campaign, domain, provider, template, tags, mailbox_provider, usual_from, usual_account)
SELECT DISTINCT $1::int, campaign, domain, provider, template, tags, mailbox, 'news@' || domain, 'account-' || provider FROM bench.slot;

-- name: number_slots
-- Tell the slots their series.
UPDATE bench.slot SET series = s.id FROM series s
WHERE s.workspace = $1 AND (s.campaign, s.domain, s.provider, s.template, s.tags, s.mailbox_provider)
    = (slot.campaign, slot.domain, slot.provider, slot.template, slot.tags, slot.mailbox);

-- name: campaigns
-- The campaigns of workspace $1.
INSERT INTO campaign (workspace, id, name, named_at, created_at)
SELECT DISTINCT $1::int, campaign, initcap(replace(campaign, '-', ' ')), $2::timestamptz, $2::timestamptz
FROM bench.slot WHERE campaign <> '';

-- name: domains
-- The sending domains of workspace $1.
INSERT INTO domain (workspace, name, id, created_at)
SELECT DISTINCT $1::int, domain, md5(domain)::uuid, $2::timestamptz FROM bench.slot;

-- name: sending_ips
-- Three IPs of workspace $1, looked up just now and listed nowhere.
INSERT INTO sending_ip (workspace, ip, attempted_at, checked_at)
SELECT $1, '9.1.2.0'::inet + n, now(), now() FROM generate_series(1, 3) AS n;

-- name: plan
-- Messages $1 to $2 of $3, created evenly over $5 days from $4 on, of $6 campaigns: a fifth of them send all the
-- time, the others for three days each. What becomes of each message is decided here, too.
INSERT INTO bench.message
SELECT n, (lpad(to_hex(floor(extract(epoch FROM created) * 1000)::bigint), 12, '0') || '7' || substr(h, 1, 3)
        || substr('89ab', 1 + (n % 4)::int, 1) || substr(h, 4, 15))::uuid,
    s.series, s.campaign, s.domain, s.provider, s.template, s.tags, s.mailbox, created, sent,
    sent + (2 + 60 * bench.noise(n, 16) ^ 3) * interval '1 second', fate,
    CASE WHEN bench.noise(n, 9) < s.open_rate * (0.75 + 0.5 * bench.noise(extract(hour FROM created)::bigint, 77))
        THEN 1 + floor(3 * bench.noise(n, 10) ^ 3)::int ELSE 0 END,
    CASE WHEN bench.noise(n, 13) < s.click_rate THEN 1 + floor(2 * bench.noise(n, 14))::int ELSE 0 END
FROM generate_series($1::bigint, $2::bigint) AS n,
LATERAL (SELECT $5::int * (n - 0.5) / $3::bigint AS day, md5(n::text) AS h) AS placed,
LATERAL (SELECT date_trunc('milliseconds', $4::timestamptz
    + (floor(day) + bench.hour(day - floor(day))) * interval '1 day') AS created) AS made,
LATERAL (SELECT created + (1 + 4 * bench.noise(n, 11)) * interval '1 second' AS sent,
    bench.noise(n, 1) AS kind, bench.noise(n, 2) AS choice, bench.noise(n, 6) AS luck) AS drawn,
LATERAL (SELECT CASE WHEN luck < 0.002 THEN 'queued' WHEN luck < 0.005 THEN 'failed' WHEN luck < 0.017 THEN 'hard'
    WHEN luck < 0.027 THEN 'soft' WHEN luck < 0.03 THEN 'sent' ELSE 'delivered' END AS fate) AS fated,
LATERAL (SELECT $6::int / 5 AS steady, ($6::int - $6::int / 5) / $5::float8 AS a_day) AS shares,
LATERAL (SELECT width_bucket(bench.noise(n, 34), ARRAY[0.4, 0.6, 0.75, 0.85]) AS mailbox) AS addressed,
LATERAL (SELECT mailbox + 5 * CASE WHEN kind < 0.2 THEN 2 * $6::int + floor(80 * choice)::int
    WHEN kind < 0.4 THEN 2 * floor(steady * choice)::int + (bench.noise(n, 5) < 0.3)::int
    ELSE 2 * (steady + greatest(0, floor(day * a_day)::int - floor(3 * a_day * choice ^ 2)::int))
        + (bench.noise(n, 5) < 0.3)::int END AS slot) AS chosen
JOIN bench.slot s USING (slot)
WHERE created < $7::timestamptz;

-- name: happen
-- What happened to the planned messages before $1.
INSERT INTO bench.happened
SELECT * FROM (
    SELECT id, series, sent AS at, {SENT} AS type, NULL::int AS bounce, NULL::int AS verdict, NULL AS verdict_reason,
        NULL AS reason, NULL AS url, NULL AS user_agent, NULL AS ip
    FROM bench.message WHERE fate NOT IN ('queued', 'failed')
    UNION ALL
    SELECT id, series, sent + interval '2 seconds', {DEFERRED}, NULL, NULL, NULL, '451 4.7.1 try again later', NULL, NULL, NULL
    FROM bench.message WHERE fate IN ('soft', 'delivered') AND bench.noise(n, 7) < 0.02
    UNION ALL
    SELECT id, series, delivered, {DELIVERED}, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM bench.message WHERE fate = 'delivered'
    UNION ALL
    SELECT id, series, sent + 5 * bench.noise(n, 17) * interval '1 second', {BOUNCED}, {HARD}, NULL, NULL,
        ($2::text[])[1 + floor(cardinality($2::text[]) * bench.noise(n, 18) ^ 2)::int], NULL, NULL, NULL
    FROM bench.message WHERE fate = 'hard'
    UNION ALL
    SELECT id, series, sent + 90 * bench.noise(n, 17) * interval '1 second', {BOUNCED}, {SOFT}, NULL, NULL,
        ($3::text[])[1 + floor(cardinality($3::text[]) * bench.noise(n, 18) ^ 2)::int], NULL, NULL, NULL
    FROM bench.message WHERE fate = 'soft'
    UNION ALL
    SELECT id, series, sent, {FAILED}, NULL, NULL, NULL, 'suppressed', NULL, NULL, NULL
    FROM bench.message WHERE fate = 'failed'
    UNION ALL
    SELECT id, series, delivered + 120 * bench.noise(n, 19) * interval '1 second', {OPENED}, NULL, {PROXY}, 'apple_mpp',
        NULL, NULL, 'Mozilla/5.0', '203.0.' || n % 200 || '.0'
    FROM bench.message WHERE fate = 'delivered' AND bench.noise(n, 8) < 0.15
    UNION ALL
    SELECT id, series, delivered + 10 * bench.noise(n, 100 + k) ^ 4 * interval '1 day', {OPENED}, NULL, {HUMAN}, NULL,
        NULL, NULL, 'Mozilla/5.0 (X11; Linux x86_64) Client/' || n % 50, '198.51.' || n % 250 || '.0'
    FROM bench.message, generate_series(1, opens) AS k WHERE fate = 'delivered'
    UNION ALL
    SELECT id, series, delivered + 9 * bench.noise(n, 20) * interval '1 second', {OPENED}, NULL, {MACHINE}, 'prefetch',
        NULL, NULL, 'Scanner/1.0', '192.0.2.0'
    FROM bench.message WHERE fate = 'delivered' AND bench.noise(n, 12) < 0.05
    UNION ALL
    SELECT id, series, delivered + interval '20 seconds' + 10 * bench.noise(n, 200 + k) ^ 4 * interval '1 day', {CLICKED},
        NULL, {HUMAN}, NULL, NULL,
        'https://shop.example/' || campaign || '/' || floor(40 * bench.noise(n, 300 + k) ^ 2)::int,
        'Mozilla/5.0 (X11; Linux x86_64) Client/' || n % 50, '198.51.' || n % 250 || '.0'
    FROM bench.message, generate_series(1, clicks) AS k WHERE fate = 'delivered' AND opens > 0
    UNION ALL
    SELECT id, series, delivered + (5 + k) * interval '1 second', {CLICKED}, NULL, {MACHINE}, 'prefetch', NULL,
        'https://shop.example/' || campaign || '/' || k, 'Scanner/1.0', '192.0.2.0'
    FROM bench.message, generate_series(1, 3) AS k WHERE fate = 'delivered' AND bench.noise(n, 15) < 0.03
    UNION ALL
    SELECT id, series, delivered + 48 * bench.noise(n, 26) * interval '1 hour', {REPLIED}, NULL, NULL, NULL, NULL, NULL,
        NULL, NULL
    FROM bench.message WHERE fate = 'delivered' AND opens > 0 AND bench.noise(n, 23) < 0.02
    UNION ALL
    SELECT id, series, delivered + 24 * bench.noise(n, 27) * interval '1 hour', {UNSUBSCRIBED}, NULL, NULL, NULL, NULL,
        NULL, NULL, NULL
    FROM bench.message WHERE fate = 'delivered' AND bench.noise(n, 24) < 0.003
    UNION ALL
    SELECT id, series, delivered + 24 * bench.noise(n, 28) * interval '1 hour', {COMPLAINED}, NULL, NULL, NULL, NULL,
        NULL, NULL, NULL
    FROM bench.message WHERE fate = 'delivered' AND bench.noise(n, 25) < 0.0008
) AS possible WHERE at < $1;

-- name: links
-- The links that are clicked in workspace $1.
INSERT INTO link (workspace, digest, url)
SELECT $1, decode(md5(url), 'hex'), url FROM bench.happened WHERE type = {CLICKED} GROUP BY url ORDER BY url
ON CONFLICT DO NOTHING;

-- name: user_agents
-- The user agents that open and click in workspace $1.
INSERT INTO user_agent (workspace, used_in, digest, text)
SELECT $1, date_trunc('month', now()), decode(md5(user_agent), 'hex'), user_agent FROM bench.happened
WHERE user_agent IS NOT NULL GROUP BY user_agent ORDER BY user_agent
ON CONFLICT DO NOTHING;

-- name: write_events
-- The history of these messages in workspace $1, in the order of its arrival; $2: the reasons of verdicts that have
-- numbers. Opens and clicks are our own, all else is told by a webhook a little later.
INSERT INTO event (workspace, message, at, received_at, type, series, bounce, verdict, reason, link, user_agent_id, network)
SELECT $1, message, at, CASE WHEN verdict IS NULL THEN at + interval '150 milliseconds' END, type, series, bounce,
    verdict | (coalesce(array_position($2::text[], verdict_reason), 0) << 2), reason, l.id, u.id,
    ((ip::inet - '0.0.0.0'::inet) >> 8)::int
FROM bench.happened h
LEFT JOIN link l ON l.workspace = $1 AND l.digest = decode(md5(h.url), 'hex')
LEFT JOIN user_agent u ON u.workspace = $1 AND u.digest = decode(md5(h.user_agent), 'hex')
ORDER BY at;

-- name: write_messages
-- These messages in workspace $1, under the state that their events have left them in.
INSERT INTO message (workspace, id, series, state, to_digest, to_domain, subject, provider_message,
    created_at, sent_at, delivered_at)
SELECT $1, m.id, m.series, coalesce(h.state, 1), sha256(convert_to((m.n % 1000003)::text, 'UTF8')), CASE m.mailbox WHEN '' THEN 'reader' || m.n % 300 || '.example' ELSE m.mailbox || '.com' END,
    'News of ' || m.template || ', number ' || m.n % 1000, 'pm-' || m.n, m.created, h.sent_at, h.delivered_at
FROM bench.message m LEFT JOIN (
    SELECT message, min(at) FILTER (WHERE type = {SENT}) AS sent_at,
        min(at) FILTER (WHERE type = {DELIVERED}) AS delivered_at,
        max(CASE type WHEN {SENT} THEN 3 WHEN {DELIVERED} THEN 5 WHEN {FAILED} THEN 6 WHEN {COMPLAINED} THEN 8
            WHEN {BOUNCED} THEN CASE bounce WHEN {HARD} THEN 7 ELSE 4 END ELSE 1 END) AS state
    FROM bench.happened GROUP BY message) h ON h.message = m.id
ORDER BY m.n;

-- name: write_engagements
-- First counted engagements of these messages in workspace $1.
INSERT INTO engagement (workspace, message, kind, at, series)
SELECT $1, message, CASE type WHEN {OPENED} THEN 1 WHEN {CLICKED} THEN 2 WHEN {REPLIED} THEN 3 ELSE 4 END, min(at), series
FROM bench.happened
WHERE type IN ({OPENED}, {CLICKED}, {REPLIED}, {UNSUBSCRIBED}) AND verdict IS DISTINCT FROM {MACHINE}
GROUP BY message, type, series ORDER BY 2, 3;

-- name: inbound
-- $1 inbound mails, evenly over $3 days from $2 on.
INSERT INTO bench.inbound
SELECT $2::timestamptz + $3::int * (n - 0.5) / $1::bigint * interval '1 day', s.series, 2000 + floor(60000 * bench.noise(n, 32))::bigint,
    bench.noise(n, 33) < 0.05
FROM generate_series(1, $1::bigint) AS n
JOIN bench.slot s ON s.slot = -1 - floor(5 * bench.noise(n, 31))::int;

-- name: write_inbound
-- Their history in workspace $1.
INSERT INTO event (workspace, at, received_at, type, series)
SELECT $1, at, at + interval '150 milliseconds', {RECEIVED}, series FROM bench.inbound ORDER BY at;

-- name: activity
-- The finest tier of ACTIVITY of workspace $1; what: type, bounce and verdict, or 10000 and the kind of a first engagement.
INSERT INTO activity_15m (workspace, series, bucket, {columns})
SELECT $1, series, bucket, {sums} FROM (
    SELECT series, date_bin('15 minutes', at, 'epoch') AS bucket,
        type * 100 + coalesce(bounce, 0) * 10 + coalesce(verdict & 3, 0) AS what, 0 AS size_bytes, false AS spam
    FROM event WHERE workspace = $1 AND message IS NOT NULL
    UNION ALL
    SELECT series, date_bin('15 minutes', at, 'epoch'), 10000 + kind, 0, false FROM engagement WHERE workspace = $1
    UNION ALL
    SELECT series, date_bin('15 minutes', at, 'epoch'), 1300, size_bytes, spam FROM bench.inbound) AS counted
GROUP BY series, bucket ORDER BY bucket, series;

-- name: created
-- The finest tier of CREATED of workspace $1.
INSERT INTO cohort_created_1s (workspace, series, bucket, {columns})
SELECT $1, series, date_trunc('second', created_at) AS bucket, {sums} FROM message WHERE workspace = $1
GROUP BY series, bucket ORDER BY bucket, series;

-- name: sent
-- The finest tier of SENT of workspace $1.
INSERT INTO cohort_sent_15m (workspace, series, bucket, mailed, opened, clicked, replied)
SELECT $1, m.series, date_bin('15 minutes', m.sent_at, 'epoch') AS bucket, postmeter_sparse(count(*)),
    postmeter_sparse(count(e.opened)), postmeter_sparse(count(e.clicked)), postmeter_sparse(count(e.replied))
FROM message m LEFT JOIN (
    SELECT message, min(at) FILTER (WHERE kind = 1) AS opened, min(at) FILTER (WHERE kind = 2) AS clicked,
        min(at) FILTER (WHERE kind = 3) AS replied
    FROM engagement WHERE workspace = $1 GROUP BY message) e ON e.message = m.id
WHERE m.workspace = $1 AND m.sent_at IS NOT NULL GROUP BY m.series, bucket ORDER BY bucket, m.series;

-- name: link_activity
-- The finest tier of LINKS of workspace $1.
INSERT INTO link_activity_15m (workspace, series, bucket, link, human_clicks, machine_clicks)
SELECT $1, series, date_bin('15 minutes', at, 'epoch') AS bucket, link,
    postmeter_sparse(count(*) FILTER (WHERE verdict & 3 <> {MACHINE})),
    postmeter_sparse(count(*) FILTER (WHERE verdict & 3 = {MACHINE}))
FROM event WHERE workspace = $1 AND type = {CLICKED} GROUP BY series, bucket, link ORDER BY bucket, series, link;

-- name: bounce_reasons
-- Bounces of workspace $1 by normalised reason.
INSERT INTO bounce_reason_1d (workspace, series, bucket, reason, bounced)
SELECT $1, e.series, date_bin('1 day', e.at, 'epoch') AS bucket, r.reason, count(*)
FROM event e JOIN bench.reason r ON r.raw = e.reason
WHERE e.workspace = $1 AND e.type = {BOUNCED} GROUP BY e.series, bucket, r.reason;

-- name: total_reasons
-- The same of all series together.
INSERT INTO bounce_reason_1d (workspace, series, bucket, reason, bounced)
SELECT workspace, 0, bucket, reason, sum(bounced) FROM bounce_reason_1d WHERE workspace = $1 GROUP BY 1, 3, 4;

-- name: total
-- Series TOTAL of the finest tier of a rollup that has it, in workspace $1.
INSERT INTO {table} (workspace, series, bucket, {columns})
SELECT workspace, 0, bucket, {sums} FROM {table} WHERE workspace = $1 GROUP BY workspace, bucket ORDER BY bucket;

-- name: widen
-- A tier of workspace $1 from the one below it; buckets of $2 seconds.
INSERT INTO {table} (workspace, series, bucket, {keys}{columns})
SELECT workspace, series, date_bin($2 * interval '1 second', bucket, 'epoch') AS wide, {keys}{sums}
FROM {finer} WHERE workspace = $1 GROUP BY workspace, series, {keys}wide ORDER BY wide, series;

-- name: first_sendings
-- When the campaigns of workspace $1 were sent first.
UPDATE campaign SET sent_at = m.first FROM (
    SELECT campaign, min(sent_at) AS first FROM mail WHERE workspace = $1 GROUP BY campaign) m
WHERE campaign.workspace = $1 AND campaign.id = m.campaign;

-- name: live_totals
-- The live totals of workspace $1.
INSERT INTO live_total (workspace, shard, opens, unique_opens, machine_opens, clicks, unique_clicks, machine_clicks)
SELECT workspace, 0, coalesce(sum(human_opens), 0) + coalesce(sum(proxy_opens), 0), coalesce(sum(unique_opens), 0),
    coalesce(sum(machine_opens), 0), coalesce(sum(human_clicks), 0), coalesce(sum(unique_clicks), 0),
    coalesce(sum(machine_clicks), 0)
FROM activity_1d WHERE workspace = $1 AND series = 0 GROUP BY workspace;

-- name: sizes
-- Rows (estimated by the last ANALYZE) and bytes of every table with some, its partitions and indexes included.
SELECT coalesce(parent.relname, own.relname) AS name, sum(greatest(own.reltuples, 0))::bigint AS rows,
    sum(pg_total_relation_size(own.oid))::bigint AS bytes
FROM pg_class own JOIN pg_namespace n ON n.oid = own.relnamespace AND n.nspname = 'public'
LEFT JOIN pg_inherits i ON i.inhrelid = own.oid LEFT JOIN pg_class parent ON parent.oid = i.inhparent
WHERE own.relkind = 'r' GROUP BY 1 HAVING sum(own.reltuples) > 0 ORDER BY 3 DESC;

-- name: sample
-- For the requests: a campaign's messages of workspace $1, the one with the longest history of a thousand.
SELECT e.message FROM event e JOIN (
    SELECT id FROM mail WHERE workspace = $1 AND campaign = $2 ORDER BY id LIMIT 1000) m ON m.id = e.message
WHERE e.workspace = $1 GROUP BY e.message ORDER BY count(*) DESC, e.message LIMIT 1;
