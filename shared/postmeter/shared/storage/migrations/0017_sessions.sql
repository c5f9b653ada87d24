-- A person's own sessions (ADR 0042). id: what a session is called, of which its hash tells nothing. browser, system:
-- what began it, by family alone; NULL where that is not known.
ALTER TABLE session
    ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN browser text,
    ADD COLUMN system text;
