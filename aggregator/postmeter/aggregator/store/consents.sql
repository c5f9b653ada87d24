-- numbers: postmeter.shared.privacy.levels.Bits
-- numbers: postmeter.aggregator.fold.states.Flag

-- name: begin_settings
-- See that workspaces $1 have settings, the defaults.
INSERT INTO privacy_setting (workspace) SELECT n.workspace FROM unnest($1::int[]) AS n (workspace)
ORDER BY n.workspace
ON CONFLICT (workspace) DO NOTHING;

-- name: recipients_of
-- Whose the messages are ($1 workspaces, $2 ids).
SELECT m.workspace, m.id, m.to_hash, m.flags & {Flag.ERASED} <> 0 AS is_erased
FROM unnest($1::int[], $2::uuid[]) AS n (workspace, id)
JOIN mail m ON m.workspace = n.workspace AND m.id = n.id;

-- name: keep_proof
-- Recipients ($1 workspaces, $2 hashes) have chosen of opens $3 and of clicks $4, in the way $5, of the text $6, as $7
-- knows, at $8; $9 told it.
INSERT INTO consent (workspace, to_hash, opens, clicks, method, text_version, source, at, recorded_by)
SELECT workspace, to_hash, opens, clicks, method, text_version, source, at, recorded_by
FROM unnest($1::int[], $2::text[], $3::smallint[], $4::smallint[], $5::text[], $6::text[], $7::text[],
    $8::timestamptz[], $9::text[])
    AS n (workspace, to_hash, opens, clicks, method, text_version, source, at, recorded_by);

-- name: thin_proofs
-- Of what recipients ($1 workspaces, $2 hashes) have chosen within a day and $3 has told, the first $4 and the latest stay: a
-- page may be sent a thousand times a second. Looks at the latest $5 of each, which are more than one flush brings.
DELETE FROM consent c USING (
    SELECT recent.*, row_number() OVER (PARTITION BY recent.workspace, recent.to_hash ORDER BY recent.id) AS place,
        max(recent.id) OVER (PARTITION BY recent.workspace, recent.to_hash) AS latest
    FROM unnest($1::int[], $2::text[]) AS n (workspace, to_hash)
    CROSS JOIN LATERAL (
        SELECT told.workspace, told.to_hash, told.id FROM consent told
        WHERE told.workspace = n.workspace AND told.to_hash = n.to_hash AND told.recorded_by = $3
            AND told.recorded_at > clock_timestamp() - interval '1 day'
        ORDER BY told.id DESC LIMIT $5) AS recent (workspace, to_hash, id)) AS placed
WHERE c.workspace = placed.workspace AND c.to_hash = placed.to_hash AND c.id = placed.id
    AND placed.place > $4 AND placed.id <> placed.latest;

-- name: choices_now
-- What recipients ($1 workspaces, $2 hashes) have chosen up to now, and what their workspaces have said of such choices.
SELECT n.workspace, n.to_hash, c.opens, c.clicks, c.opens_at, c.clicks_at,
    s.unknown_opens, s.unknown_clicks, s.denied_opens, s.denied_clicks
FROM unnest($1::int[], $2::text[]) AS n (workspace, to_hash)
JOIN privacy_setting s ON s.workspace = n.workspace
LEFT JOIN recipient_choice c ON c.workspace = n.workspace AND c.to_hash = n.to_hash;

-- name: too_high
-- Messages of recipients ($1 workspaces, $2 hashes) that have levels of opens above $3, or of clicks above $4; at most $5,
-- each one's latest first. (A greater number is a stricter level.)
SELECT found.workspace, found.id, n.to_hash, found.flags & {Flag.PROVISIONAL} <> 0 AS is_provisional
FROM unnest($1::int[], $2::text[], $3::int[], $4::int[]) AS n (workspace, to_hash, opens, clicks)
CROSS JOIN LATERAL (
    SELECT m.workspace, m.id, m.flags FROM (
        SELECT * FROM mail WHERE hashtextextended(to_hash, workspace) = hashtextextended(n.to_hash, n.workspace)
        ORDER BY created_at DESC OFFSET 0) AS m  -- by the hash alone, as find_provider_messages
    WHERE m.workspace = n.workspace AND m.to_hash = n.to_hash
        AND (((m.flags >> {Bits.OPENS}) & {Bits.LEVEL}) < n.opens OR ((m.flags >> {Bits.CLICKS}) & {Bits.LEVEL}) < n.clicks)
    ORDER BY m.created_at DESC LIMIT $5) AS found
LIMIT $5;

-- name: choose
-- Recipients ($1 workspaces, $2 hashes, in their order) have chosen of opens $3 at $4, of clicks $5 at $6; no time: nothing
-- of that. The latest holds, of two at once that which allows less. Their messages are to be looked at $7 seconds from
-- now. Returns the choices that have changed.
INSERT INTO recipient_choice AS known (workspace, to_hash, opens, opens_at, clicks, clicks_at, look_at)
SELECT workspace, to_hash, opens, opens_at, clicks, clicks_at, clock_timestamp() + $7::float8 * interval '1 s'
FROM unnest($1::int[], $2::text[], $3::smallint[], $4::timestamptz[], $5::smallint[], $6::timestamptz[])
    AS n (workspace, to_hash, opens, opens_at, clicks, clicks_at)
ORDER BY workspace, to_hash
ON CONFLICT (workspace, to_hash) DO UPDATE SET
    opens = CASE WHEN (excluded.opens_at, array_position('{1,0,2}', excluded.opens))
            > (coalesce(known.opens_at, '-infinity'), array_position('{1,0,2}', known.opens))
        THEN excluded.opens ELSE known.opens END,
    opens_at = greatest(known.opens_at, excluded.opens_at),
    clicks = CASE WHEN (excluded.clicks_at, array_position('{1,0,2}', excluded.clicks))
            > (coalesce(known.clicks_at, '-infinity'), array_position('{1,0,2}', known.clicks))
        THEN excluded.clicks ELSE known.clicks END,
    clicks_at = greatest(known.clicks_at, excluded.clicks_at),
    changed_at = clock_timestamp(), look_at = excluded.look_at
RETURNING workspace, to_hash, opens, clicks;

-- name: lower
-- Messages ($1 workspaces, $2 ids), whose slots are held, have at most the levels $3 of opens and $4 of clicks.
UPDATE message m SET flags = (m.flags & ~{Bits.ALL}) | (greatest((m.flags >> {Bits.OPENS}) & {Bits.LEVEL}, n.opens) << {Bits.OPENS})
    | (greatest((m.flags >> {Bits.CLICKS}) & {Bits.LEVEL}, n.clicks) << {Bits.CLICKS})
FROM unnest($1::int[], $2::uuid[], $3::int[], $4::int[]) AS n (workspace, id, opens, clicks)
WHERE m.workspace = n.workspace AND m.id = n.id
    AND (((m.flags >> {Bits.OPENS}) & {Bits.LEVEL}) < n.opens OR ((m.flags >> {Bits.CLICKS}) & {Bits.LEVEL}) < n.clicks);

-- name: to_look_at
-- The next $1 recipients whose messages are to be looked at.
SELECT workspace, to_hash, opens, clicks, changed_at FROM recipient_choice
WHERE look_at <= clock_timestamp() ORDER BY look_at LIMIT $1;

-- name: looked
-- All messages of recipients ($1 workspaces, $2 hashes) are as they chose at $3: once more at $4 seconds after that, then
-- never. Their slots are not held: who chooses just now is left to the next look, for waiting could be a deadlock.
WITH looked AS (
    SELECT c.workspace, c.to_hash FROM unnest($1::int[], $2::text[], $3::timestamptz[]) AS n (workspace, to_hash, changed_at)
    JOIN recipient_choice c ON c.workspace = n.workspace AND c.to_hash = n.to_hash AND c.changed_at = n.changed_at
    FOR UPDATE OF c SKIP LOCKED)
UPDATE recipient_choice c
SET look_at = CASE WHEN c.changed_at + $4::float8 * interval '1 s' > clock_timestamp()
    THEN c.changed_at + $4::float8 * interval '1 s' END
FROM looked WHERE c.workspace = looked.workspace AND c.to_hash = looked.to_hash;
