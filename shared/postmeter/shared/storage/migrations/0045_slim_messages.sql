-- Slim messages (ADR 0070).

-- to_hash as bytes, half as long: one of the two is null. Until 0049 nobody writes it, for services of the version before read to_hash.
ALTER TABLE message ADD COLUMN to_digest bytea;

-- from_address and provider_account of the first message of a series, as of most others of it; null: nobody knows. They stay.
ALTER TABLE series ADD COLUMN usual_from text, ADD COLUMN usual_account text;

-- Messages as they are read, whichever shape their rows have. Until 0049 they have only one.
CREATE VIEW mail AS
SELECT workspace, id, series, state, campaign, from_address, to_hash, to_domain, subject, provider, provider_account,
    provider_message, template, tags, created_at, sent_at, delivered_at, flags, links, domain, recipient_ref
FROM message;
