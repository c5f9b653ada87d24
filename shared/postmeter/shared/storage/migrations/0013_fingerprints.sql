-- Whether a secret is still the one of before (fingerprints.py, ADR 0037): an HMAC under each, never the secret itself.
CREATE TABLE fingerprint (
    name text PRIMARY KEY,
    value bytea NOT NULL,
    since timestamptz NOT NULL DEFAULT now()
);
