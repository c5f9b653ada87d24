-- Slim messages (ADR 0070), from when no service of the version before runs. Writers see by to_hash, which may be null from here on,
-- that they may write them.

-- The view and its table, in the order in which readers lock them, before anything is changed. A flush may have read messages and want the
-- view next: so nobody is waited for for longer than Postgres takes to look for a deadlock, which is a second. What is held is
-- let go, and taken anew.
DO $$
DECLARE
    usual text := current_setting('lock_timeout');
    tries int := 100;
BEGIN
    LOOP
        tries := tries - 1;
        BEGIN
            PERFORM set_config('lock_timeout', 900 - 8 * tries || 'ms', true);
            LOCK TABLE mail IN ACCESS EXCLUSIVE MODE;
            EXIT;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            IF tries = 0 THEN
                RAISE;
            END IF;
        END;
        PERFORM pg_sleep(0.1);
    END LOOP;
    PERFORM set_config('lock_timeout', usual, true);
END $$;

-- Null: as the series says, or to_digest. A text that stands in the row counts: in rows of before, in the series of all combinations
-- beyond the limit, where the sender was another one or the tags had another order, and of messages that nobody has registered.
ALTER TABLE message ALTER COLUMN to_hash DROP NOT NULL, ALTER COLUMN campaign DROP NOT NULL, ALTER COLUMN from_address DROP NOT NULL,
    ALTER COLUMN provider DROP NOT NULL, ALTER COLUMN provider_account DROP NOT NULL, ALTER COLUMN template DROP NOT NULL,
    ALTER COLUMN tags DROP NOT NULL;

-- The series is looked up message by message (OFFSET 0): no plan can read all series for a few messages.
CREATE OR REPLACE VIEW mail AS
SELECT m.workspace, m.id, m.series, m.state, coalesce(m.campaign, s.campaign) AS campaign,
    coalesce(m.from_address, s.usual_from) AS from_address, coalesce(m.to_hash, encode(m.to_digest, 'hex')) AS to_hash,
    m.to_domain, m.subject, coalesce(m.provider, s.provider) AS provider,
    coalesce(m.provider_account, s.usual_account) AS provider_account, m.provider_message,
    coalesce(m.template, s.template) AS template, coalesce(m.tags, s.tags) AS tags, m.created_at, m.sent_at,
    m.delivered_at, m.flags, m.links, m.domain, m.recipient_ref
FROM message m LEFT JOIN LATERAL (
    SELECT campaign, usual_from, provider, usual_account, template, tags FROM series
    WHERE series.workspace = m.workspace AND series.id = m.series OFFSET 0) s ON true;

-- A recipient's messages, in either shape, by a hash of who it is. Who looks for them says it beside workspace and to_hash, of `mail`.
CREATE INDEX message_addressee ON message (hashtextextended(coalesce(to_hash, encode(to_digest, 'hex')), workspace), created_at);

-- message_addressee has taken its place.
DROP INDEX message_to;
