-- name: learn
-- Messages ($1 workspaces, $2 ids) that were registered for providers $3 without saying what these call them: they call
-- them $4. The caller has the messages' locks. Returns the names that are new.
UPDATE message m SET provider_message = n.provider_message
FROM unnest($1::int[], $2::uuid[], $3::text[], $4::text[]) AS n (workspace, message, provider, provider_message)
WHERE m.workspace = n.workspace AND m.id = n.message AND m.provider = n.provider AND m.provider_message = ''
    AND m.flags & 4 = 0
RETURNING m.workspace, m.provider, m.provider_message;
