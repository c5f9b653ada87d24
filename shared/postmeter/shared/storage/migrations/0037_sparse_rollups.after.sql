-- Rollups without zeros (ADR 0064), from when no service of the version before runs: null stands for 0.
CREATE OR REPLACE FUNCTION postmeter_sparse(n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN nullif(n, 0);

-- message_created_at and message_to have taken their places. Before anything of rollups: a flush that has read messages is let to its
-- end, and none that has not holds a rollup.
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
