-- numbers: postmeter.aggregator.fold.states.Flag

-- name: make_messages
-- Messages not known before, column by column; the first registration wins.
INSERT INTO message (workspace, id, series, campaign, from_address, to_hash, to_domain, subject, provider,
    provider_account, provider_message, template, tags, created_at,
    flags, links, domain, recipient_ref, to_digest)
SELECT workspace, id, series, campaign, from_address, to_hash, to_domain, subject, provider,
    provider_account, provider_message, template,
    CASE WHEN tags IS NOT NULL THEN array(SELECT jsonb_array_elements_text(tags::jsonb)) END, created_at,
    flags, links, domain, recipient_ref, to_digest
FROM unnest($1::int[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::timestamptz[], $15::smallint[], $16::int[],
    $17::text[], $18::text[], $19::bytea[])
    AS n (workspace, id, series, campaign, from_address, to_hash, to_domain, subject, provider,
    provider_account, provider_message, template, tags, created_at,
    flags, links, domain, recipient_ref, to_digest)
ORDER BY workspace, id
ON CONFLICT DO NOTHING RETURNING workspace, id;

-- name: may_be_slim
-- Whether messages may leave out what their series says: from `postmeter migrate --after` on (ADR 0070).
SELECT NOT attnotnull FROM pg_attribute WHERE attrelid = 'message'::regclass AND attname = 'to_hash';

-- name: find_provider_messages
-- Messages by $1 workspaces, $2 providers, $3 the providers' ids; of several a registered one, the smallest id. Beside
-- them, for each domain in confined_to, one that a key which is confined to it registered. Each is looked up by
-- itself, by the hash of its name alone: of a month that nobody has analysed the planner knows no better index than any other
-- over the workspace.
SELECT DISTINCT ON (m.workspace, m.provider, m.provider_message, confined_to)
    m.workspace, m.provider, m.provider_message, m.id, m.series, m.flags,
    CASE WHEN m.flags & {Flag.CONFINED} <> 0 THEN m.domain END AS confined_to
FROM unnest($1::int[], $2::text[], $3::text[]) AS n (workspace, provider, provider_message)
CROSS JOIN LATERAL (
    SELECT * FROM mail
    WHERE hashtextextended(nullif(provider_message, ''), workspace) = hashtextextended(n.provider_message, n.workspace)
    OFFSET 0) AS m
WHERE m.workspace = n.workspace AND m.provider = n.provider AND m.provider_message = n.provider_message
ORDER BY m.workspace, m.provider, m.provider_message, confined_to, m.flags & {Flag.PROVISIONAL}, m.id;

-- name: hold_unregistered
-- Those of the messages ($1 workspaces, $2 ids) that nobody has registered; locked, in the order of their keys.
SELECT m.workspace, m.id, m.series, m.flags, m.state, m.created_at, m.sent_at
FROM (SELECT * FROM unnest($1::int[], $2::uuid[]) AS n (workspace, id) ORDER BY workspace, id) AS n
JOIN LATERAL (
    SELECT * FROM message WHERE message.workspace = n.workspace AND message.id = n.id AND message.flags & {Flag.PROVISIONAL} <> 0
    FOR UPDATE) AS m ON true;
