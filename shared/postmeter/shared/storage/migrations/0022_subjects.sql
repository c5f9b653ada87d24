-- Subjects that messages have (ADR 0053): a search reads these few instead of every message. until: the month in which a
-- message with this subject was registered or dated last; infinite for those whose ids tell no time, which stay.
CREATE TABLE subject (
    workspace int NOT NULL,
    key bigint NOT NULL GENERATED ALWAYS AS (hashtextextended(subject, workspace)) STORED,
    subject text NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (workspace, key)
);

-- Workspaces that had more subjects than are kept: there a search reads every message.
CREATE TABLE subject_excess (workspace int PRIMARY KEY);

-- The subjects of the messages that a statement inserts, whichever version of whichever service does it, in the same
-- transaction. Only those that are new, or new in this month: nobody waits for another's row. How many a workspace has is
-- counted when one in 64 comes in.
DO $body$
BEGIN
    EXECUTE format($sql$
        CREATE FUNCTION postmeter_note_subjects() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = %I, pg_temp AS $$
        DECLARE
            most CONSTANT int := 50000;
            counted int[];
        BEGIN
            WITH told AS (
                SELECT workspace, subject, date_trunc('month', max(CASE WHEN get_byte(uuid_send(id), 6) >> 4 = 7
                    THEN greatest(created_at, now()) ELSE 'infinity' END), 'UTC') AS until
                FROM made GROUP BY workspace, subject
            ), new AS (
                INSERT INTO subject AS known (workspace, subject, until)
                SELECT workspace, subject, until FROM told
                WHERE NOT EXISTS (
                    SELECT FROM subject s WHERE s.workspace = told.workspace
                        AND s.key = hashtextextended(told.subject, told.workspace) AND s.until >= told.until)
                    AND NOT EXISTS (SELECT FROM subject_excess e WHERE e.workspace = told.workspace)
                ORDER BY workspace, hashtextextended(subject, workspace)
                ON CONFLICT (workspace, key) DO UPDATE SET until = excluded.until WHERE known.until < excluded.until
                RETURNING known.workspace, known.key
            )
            SELECT array_agg(DISTINCT workspace) INTO counted FROM new WHERE key & 63 = 0;
            IF counted IS NOT NULL THEN
                INSERT INTO subject_excess
                SELECT workspace FROM unnest(counted) AS many (workspace)
                WHERE (SELECT count(*) FROM (
                    SELECT FROM subject s WHERE s.workspace = many.workspace LIMIT most + 1) AS kept) > most
                ORDER BY workspace ON CONFLICT DO NOTHING;
            END IF;
            RETURN NULL;
        END $$ $sql$, current_schema());
END $body$;

REVOKE ALL ON FUNCTION postmeter_note_subjects() FROM PUBLIC;

CREATE TRIGGER subjects_noted AFTER INSERT ON message REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION postmeter_note_subjects();
