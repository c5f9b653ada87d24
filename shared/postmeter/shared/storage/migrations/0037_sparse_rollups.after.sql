-- Rollups without zeros (ADR 0064), from when no service of the version before runs: null stands for 0.
CREATE OR REPLACE FUNCTION postmeter_sparse(n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN nullif(n, 0);

-- Locks on all that is changed here, before anything is. Messages before rollups: a flush that has read messages is let to its end, and
-- none that has not holds a rollup. A reader may hold one rollup and wait for another, or for messages, that are held here: so
-- nobody is waited for with a lock in hand for longer than Postgres takes to look for a deadlock, which is a second: a tenth of one at
-- first, then longer. All are let go, and taken anew.
DO $$
DECLARE
    rollups text;
    usual text := current_setting('lock_timeout');
    is_held boolean;
    tries int := 100;
BEGIN
    SELECT string_agg(relname, ', ' ORDER BY relname) INTO rollups FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind = 'p'
        AND relname ~ '^(activity|cohort_created|cohort_sent|link_activity)_[0-9]+[smhd]$';
    LOOP
        tries := tries - 1;
        is_held := false;
        BEGIN
            LOCK TABLE message IN ACCESS EXCLUSIVE MODE;
            is_held := true;
            PERFORM set_config('lock_timeout', 900 - 8 * tries || 'ms', true);
            EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', rollups);
            EXIT;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            IF NOT is_held OR tries = 0 THEN
                RAISE;
            END IF;
        END;
        PERFORM pg_sleep(0.1);
    END LOOP;
    PERFORM set_config('lock_timeout', usual, true);
END $$;

-- message_created_at and message_to have taken their places.
DROP INDEX message_created, message_recipient;

DO $$
DECLARE
    counter record;
BEGIN
    FOR counter IN
        SELECT c.relname, string_agg(format('ALTER COLUMN %1$I DROP NOT NULL, ALTER COLUMN %1$I DROP DEFAULT', a.attname), ', ')
            AS changes
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'p'
            AND c.relname ~ '^(activity|cohort_created|cohort_sent|link_activity)_[0-9]+[smhd]$'
            AND a.attname NOT IN ('workspace', 'series', 'bucket', 'link')
        GROUP BY c.relname ORDER BY c.relname
    LOOP
        EXECUTE format('ALTER TABLE %I %s', counter.relname, counter.changes);
    END LOOP;
END $$;

-- By the second only what sticks out at the ends of a range is read, at most a quarter-hour: the primary key is enough.
DROP INDEX cohort_created_1s_series;
