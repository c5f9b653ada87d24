-- numbers: postmeter.aggregator.fold.states.Flag

-- name: due
-- Up to $1 events that name only an address and that it is time to look at, and how many seconds they wait; locked.
SELECT id, record, extract(epoch FROM clock_timestamp() - since)::float8 AS waited FROM waiting
WHERE look_at <= clock_timestamp() ORDER BY look_at LIMIT $1 FOR UPDATE SKIP LOCKED;

-- name: fitting
-- Up to two messages for each of: workspace $1, provider $2, recipient $3, created from $4 to $5, subject $6 where both
-- tell one. Two are as many as matter. Those that a confined key registered only where the domain $7 is the key's, or is
-- not told: then they are unproven. By the hash alone, as find_provider_messages.
SELECT n.place, m.id, m.provider_message, m.provisional, m.confined AND n.domain = '' AS unproven
FROM unnest($1::int[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::text[], $7::text[])
    WITH ORDINALITY AS n (workspace, provider, to_hash, first, last, subject, domain, place)
CROSS JOIN LATERAL (
    SELECT message.id, message.provider_message, message.flags & {Flag.PROVISIONAL} <> 0 AS provisional, message.flags & {Flag.CONFINED} <> 0 AS confined
    FROM (
        SELECT * FROM mail
        WHERE hashtextextended(to_hash, workspace) = hashtextextended(n.to_hash, n.workspace)
            AND created_at BETWEEN n.first AND n.last
        OFFSET 0) AS message
    WHERE message.workspace = n.workspace AND message.to_hash = n.to_hash AND message.provider = n.provider
        AND (n.subject = '' OR message.subject = '' OR message.subject = n.subject)
        AND (message.flags & {Flag.CONFINED} = 0 OR n.domain IN ('', message.domain))
    LIMIT 2) AS m;

-- name: take_out
-- Events $1 wait no more.
DELETE FROM waiting WHERE id = ANY ($1::bigint[]);

-- name: look_again
-- Look at events $1 again when they have waited for twice as long.
UPDATE waiting SET look_at = clock_timestamp() + (clock_timestamp() - since) WHERE id = ANY ($1::bigint[]);
