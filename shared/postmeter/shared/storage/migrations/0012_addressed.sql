-- Events that name only an address (ADR 0030). to_hash: whose; look_at: when to look for the message that fits, null for
-- all others, which name one.
ALTER TABLE waiting ADD COLUMN to_hash text NOT NULL DEFAULT '', ADD COLUMN look_at timestamptz;
CREATE INDEX waiting_look_at ON waiting (look_at) WHERE look_at IS NOT NULL;

-- A recipient's messages of some days, or all of them: also those of a contact, to find its clicks.
CREATE INDEX message_recipient ON message (workspace, to_hash, created_at);
DROP INDEX message_contact;
