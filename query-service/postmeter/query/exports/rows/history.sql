-- name: series
-- Series of workspace $1 with one of the campaigns $2 and one of the domains $3, null for all. The series that stands
-- for all combinations beyond the limit may have messages of any campaign.
SELECT id FROM series
WHERE workspace = $1 AND ($2::text[] IS NULL OR campaign = ANY ($2) OR campaign = $4)
    AND ($3::text[] IS NULL OR domain = ANY ($3))

-- name: messages
-- Messages of workspace $1 created in [$2, $3), of campaigns $4 and series $5 unless null, in the order of creation.
SELECT id, series, campaign, from_address, to_hash, to_domain, subject, provider, provider_account, provider_message,
    template, tags, state, created_at, sent_at, delivered_at
FROM mail
WHERE workspace = $1 AND created_at >= $2 AND created_at < $3 AND ($4::text[] IS NULL OR campaign = ANY ($4))
    AND ($5::bigint[] IS NULL OR series = ANY ($5))
ORDER BY created_at, id DESC

-- name: engagements
-- First open, click, reply, unsubscribe of messages $2 of workspace $1. An infinite time: all of them were machines'.
SELECT message, kind, at FROM engagement WHERE workspace = $1 AND message = ANY ($2::uuid[]) AND at < 'infinity'

-- name: events
-- History of workspace $1 in [$2, $3), of series $4 unless null, in the order of time.
SELECT message, at, received_at, type, series, bounce, verdict, verdict_reason, counted, reason, url, user_agent, ip,
    claimed_at
FROM history
WHERE workspace = $1 AND at >= $2 AND at < $3 AND ($4::bigint[] IS NULL OR series = ANY ($4))
ORDER BY at, message, type

-- name: event_messages
-- What the history of messages $2 of workspace $1 shows of them.
SELECT id, campaign, from_address, to_hash, subject FROM mail WHERE workspace = $1 AND id = ANY ($2::uuid[])

-- name: series_of
-- Series $2 of workspace $1.
SELECT id, campaign, domain, provider, template, mailbox_provider FROM series WHERE workspace = $1 AND id = ANY ($2::bigint[])
