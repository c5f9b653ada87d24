-- name: choice
-- What recipient $2 of workspace $1 has chosen, as it is now.
SELECT opens, clicks FROM recipient_choice WHERE workspace = $1 AND to_hash = $2

-- name: told
-- The latest $3 choices that were told of recipient $2 of workspace $1, the latest first.
SELECT opens, clicks, method, text_version, source, at, recorded_at, recorded_by FROM consent
WHERE workspace = $1 AND to_hash = $2 ORDER BY id DESC LIMIT $3
