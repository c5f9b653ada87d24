-- name: message
-- Message $2 of workspace $1 with its mailbox provider, if its domain is among $3 or that is null.
SELECT message.id, message.campaign, from_address, recipient_ref, to_hash, subject, state, message.provider,
    provider_message, message.template, series.mailbox_provider, message.tags, created_at, sent_at, delivered_at
FROM mail AS message LEFT JOIN series ON series.workspace = $1 AND series.id = message.series
WHERE message.workspace = $1 AND message.id = $2 AND ($3::text[] IS NULL OR series.domain = ANY ($3))

-- name: events
-- The latest $3 events of message $2 of workspace $1, the latest first: also those that do not count.
SELECT type, at, verdict, verdict_reason, bounce, reason, url, user_agent, ip, counted, claimed_at
FROM history
WHERE workspace = $1 AND message = $2 AND postmeter_place(workspace, message) = postmeter_place($1, $2)
ORDER BY postmeter_second(at) DESC, at DESC, type DESC, received_at DESC LIMIT $3
