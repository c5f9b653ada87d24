-- name: source
-- The webhook source with id $1, unless it was revoked.
SELECT workspace, provider, secret, options FROM webhook_source WHERE id = $1 AND revoked_at IS NULL
