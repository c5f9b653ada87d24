-- What days count that do not change is kept (ADR 0067), links by their URLs. No day tells that a link has lost its URL to an
-- erasure: so that changes everybody's version, whichever version of the aggregator does it. It happens seldom.
DO $body$
BEGIN
    EXECUTE format($sql$
        CREATE FUNCTION postmeter_link_renamed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = %I, pg_temp AS $$
        BEGIN
            IF EXISTS (SELECT FROM changed) THEN
                PERFORM postmeter_raise_versions(ARRAY[0]);
            END IF;
            RETURN NULL;
        END $$ $sql$, current_schema());

    -- As 0035 has it, but that a day is due an hour after its end, not a day: until then it is read by series, again and again.
    EXECUTE format($sql$
        CREATE OR REPLACE FUNCTION postmeter_day_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = %I, pg_temp AS $$
        DECLARE
            summed record;
        BEGIN
            IF TG_OP = 'INSERT' THEN
                INSERT INTO activity_day (workspace, day, due)
                SELECT c.workspace, c.bucket, greatest(c.bucket + interval '25 hours', now() + interval '1 hour')
                FROM (SELECT DISTINCT workspace, bucket FROM changed) AS c
                WHERE NOT EXISTS (
                    SELECT FROM activity_day d WHERE d.workspace = c.workspace AND d.day = c.bucket OFFSET 0)
                ORDER BY 1, 2 ON CONFLICT DO NOTHING;
            END IF;
            FOR summed IN
                SELECT c.workspace, c.bucket FROM (SELECT DISTINCT workspace, bucket FROM changed) AS c
                WHERE EXISTS (
                    SELECT FROM activity_day d
                    WHERE d.workspace = c.workspace AND d.day = c.bucket AND d.state <> 0 OFFSET 0)
                ORDER BY 1, 2
            LOOP
                UPDATE activity_day SET state = 0, due = now() + interval '1 hour'
                WHERE workspace = summed.workspace AND day = summed.bucket AND state <> 0;
            END LOOP;
            RETURN NULL;
        END $$ $sql$, current_schema());
END $body$;

REVOKE ALL ON FUNCTION postmeter_link_renamed() FROM PUBLIC;

CREATE TRIGGER renamed AFTER UPDATE ON link REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION postmeter_link_renamed();

-- The days that wait for it.
UPDATE activity_day SET due = day + interval '25 hours' WHERE state = 0 AND due = day + interval '48 hours';
