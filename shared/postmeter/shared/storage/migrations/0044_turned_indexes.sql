-- The indexes of rollups turned round (ADR 0068): a row is found by its series first, and whoever wants all series of a time
-- finds them by an index in which they share entries. The sum of all series is not in it, so that the planner cannot take it
-- for that sum. By which columns rows are unique stays as it was: nobody who writes needs to know.

-- Who reads or writes may hold one of them and wait for another that is held here: so nobody is waited for with a lock in hand for
-- longer than Postgres takes to look for a deadlock, which is a second: a tenth of one at first, then longer. All are let go,
-- and taken anew.
DO $$
DECLARE
    usual text := current_setting('lock_timeout');
    tries int := 100;
BEGIN
    LOOP
        tries := tries - 1;
        BEGIN
            PERFORM set_config('lock_timeout', 900 - 8 * tries || 'ms', true);
            LOCK TABLE activity_15m, activity_1h, activity_1d, cohort_created_15m, cohort_created_1d, cohort_sent_15m,
                link_activity_15m, link_activity_1d, bounce_reason_1d, conversion_15m, conversion_1h, conversion_1d,
                activity_by_1h, activity_by_1d
                IN ACCESS EXCLUSIVE MODE;
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

-- Rows are looked up by their series; what all series did at a time, without their sum, by the other one (ADR 0068).
CREATE UNIQUE INDEX activity_15m_key ON activity_15m (workspace, series, bucket);
CREATE INDEX activity_15m_bucket ON activity_15m (workspace, bucket) WHERE series > 0;
CREATE UNIQUE INDEX activity_1h_key ON activity_1h (workspace, series, bucket);
CREATE INDEX activity_1h_bucket ON activity_1h (workspace, bucket) WHERE series > 0;
CREATE UNIQUE INDEX activity_1d_key ON activity_1d (workspace, series, bucket);
CREATE INDEX activity_1d_bucket ON activity_1d (workspace, bucket) WHERE series > 0;
CREATE UNIQUE INDEX cohort_created_15m_key ON cohort_created_15m (workspace, series, bucket);
CREATE INDEX cohort_created_15m_bucket ON cohort_created_15m (workspace, bucket) WHERE series > 0;
CREATE UNIQUE INDEX cohort_created_1d_key ON cohort_created_1d (workspace, series, bucket);
CREATE INDEX cohort_created_1d_bucket ON cohort_created_1d (workspace, bucket) WHERE series > 0;
CREATE UNIQUE INDEX cohort_sent_15m_key ON cohort_sent_15m (workspace, series, bucket);
CREATE INDEX cohort_sent_15m_bucket ON cohort_sent_15m (workspace, bucket) WHERE series > 0;
CREATE UNIQUE INDEX link_activity_15m_key ON link_activity_15m (workspace, series, bucket, link);
CREATE INDEX link_activity_15m_bucket ON link_activity_15m (workspace, bucket) WHERE series > 0;
CREATE UNIQUE INDEX link_activity_1d_key ON link_activity_1d (workspace, series, bucket, link);
CREATE INDEX link_activity_1d_bucket ON link_activity_1d (workspace, bucket) WHERE series > 0;
CREATE UNIQUE INDEX bounce_reason_1d_key ON bounce_reason_1d (workspace, series, bucket, reason);
CREATE INDEX bounce_reason_1d_bucket ON bounce_reason_1d (workspace, bucket) WHERE series > 0;
CREATE UNIQUE INDEX conversion_15m_key ON conversion_15m (workspace, series, bucket, currency);
CREATE INDEX conversion_15m_bucket ON conversion_15m (workspace, bucket) WHERE series > 0;
CREATE UNIQUE INDEX conversion_1h_key ON conversion_1h (workspace, series, bucket, currency);
CREATE INDEX conversion_1h_bucket ON conversion_1h (workspace, bucket) WHERE series > 0;
CREATE UNIQUE INDEX conversion_1d_key ON conversion_1d (workspace, series, bucket, currency);
CREATE INDEX conversion_1d_bucket ON conversion_1d (workspace, bucket) WHERE series > 0;
CREATE UNIQUE INDEX activity_by_1h_key ON activity_by_1h (workspace, dimension, value, bucket);
CREATE INDEX activity_by_1h_bucket ON activity_by_1h (workspace, dimension, bucket);
CREATE UNIQUE INDEX activity_by_1d_key ON activity_by_1d (workspace, dimension, value, bucket);
CREATE INDEX activity_by_1d_bucket ON activity_by_1d (workspace, dimension, bucket);

-- They have taken the places of the indexes that had these columns in the other order, and of the primary keys.
DROP INDEX activity_15m_series, activity_1h_series, activity_1d_series, cohort_created_15m_workspace_series_bucket_idx,
    cohort_created_1d_workspace_series_bucket_idx, cohort_sent_15m_series, link_activity_15m_series,
    link_activity_1d_workspace_series_bucket_idx, bounce_reason_1d_series, conversion_15m_series,
    conversion_1h_workspace_series_bucket_idx, conversion_1d_workspace_series_bucket_idx, activity_by_1h_value,
    activity_by_1d_workspace_dimension_value_bucket_idx;

ALTER TABLE activity_15m DROP CONSTRAINT activity_15m_pkey;
ALTER TABLE activity_1h DROP CONSTRAINT activity_1h_pkey;
ALTER TABLE activity_1d DROP CONSTRAINT activity_1d_pkey;
ALTER TABLE cohort_created_15m DROP CONSTRAINT cohort_created_15m_pkey;
ALTER TABLE cohort_created_1d DROP CONSTRAINT cohort_created_1d_pkey;
ALTER TABLE cohort_sent_15m DROP CONSTRAINT cohort_sent_15m_pkey;
ALTER TABLE link_activity_15m DROP CONSTRAINT link_activity_15m_pkey;
ALTER TABLE link_activity_1d DROP CONSTRAINT link_activity_1d_pkey;
ALTER TABLE bounce_reason_1d DROP CONSTRAINT bounce_reason_1d_pkey;
ALTER TABLE conversion_15m DROP CONSTRAINT conversion_15m_pkey;
ALTER TABLE conversion_1h DROP CONSTRAINT conversion_1h_pkey;
ALTER TABLE conversion_1d DROP CONSTRAINT conversion_1d_pkey;
ALTER TABLE activity_by_1h DROP CONSTRAINT activity_by_1h_pkey;
ALTER TABLE activity_by_1d DROP CONSTRAINT activity_by_1d_pkey;
