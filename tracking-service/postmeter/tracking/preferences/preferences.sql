-- name: choice
-- What the recipient of message $2 of workspace $1 has chosen.
SELECT c.opens, c.clicks FROM mail m
JOIN recipient_choice c ON c.workspace = m.workspace AND c.to_hash = m.to_hash
WHERE m.workspace = $1 AND m.id = $2
