-- name: kept
-- All fingerprints.
SELECT name, value, since FROM fingerprint ORDER BY name LIMIT 1000

-- name: keep
-- Keep $2 under the name $1, unless there is one.
INSERT INTO fingerprint (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING

-- name: forget
-- Forget the fingerprint $1; its name if there was one.
DELETE FROM fingerprint WHERE name = $1 RETURNING name

-- name: of_keys
-- The fingerprint $1, and whether an API key that is not revoked is stored.
SELECT (SELECT value FROM fingerprint WHERE name = $1) AS value, (SELECT since FROM fingerprint WHERE name = $1) AS since,
    EXISTS (SELECT FROM api_key WHERE revoked_at IS NULL) AS has_keys
