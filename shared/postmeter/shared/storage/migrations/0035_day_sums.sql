-- Activity summed up by one dimension (ADR 0063), for days that do not change any more: a question by template reads a row
-- for each template and day, not one for each series. dimension: the place of postmeter.shared.storage.rollups.SUMMED_BY, from
-- 1 on. Only rows of days that activity_day calls summed are good. Counters: null stands for 0.
CREATE TABLE activity_by_1h (
    workspace int NOT NULL,
    dimension smallint NOT NULL,
    bucket timestamptz NOT NULL,
    value text NOT NULL,
    sent bigint,
    delivered bigint,
    deferred bigint,
    hard_bounced bigint,
    soft_bounced bigint,
    failed bigint,
    complained bigint,
    unsubscribed bigint,
    unique_unsubscribed bigint,
    human_opens bigint,
    proxy_opens bigint,
    machine_opens bigint,
    unique_opens bigint,
    human_clicks bigint,
    machine_clicks bigint,
    unique_clicks bigint,
    replies bigint,
    unique_replies bigint,
    received bigint,
    spam bigint,
    size_bytes bigint,
    anonymous_opens bigint,
    anonymous_clicks bigint,
    trackable bigint,
    PRIMARY KEY (workspace, dimension, bucket, value)
) PARTITION BY RANGE (bucket);
-- What one campaign did, without reading the others of the same hours.
CREATE INDEX activity_by_1h_value ON activity_by_1h (workspace, dimension, value, bucket);

CREATE TABLE activity_by_1d (LIKE activity_by_1h INCLUDING INDEXES) PARTITION BY RANGE (bucket);

-- Clicks by link of all series together; as good as the others.
CREATE TABLE link_activity_by_1d (
    workspace int NOT NULL,
    bucket timestamptz NOT NULL,
    link bigint NOT NULL,
    human_clicks bigint,
    machine_clicks bigint,
    PRIMARY KEY (workspace, bucket, link)
) PARTITION BY RANGE (bucket);

-- Days (of UTC) in which something happened. state: postmeter.shared.storage.rollups.DayState. due: when to sum it up, where it
-- has changed since.
CREATE TABLE activity_day (
    workspace int NOT NULL,
    day timestamptz NOT NULL,
    state smallint NOT NULL DEFAULT 0,
    due timestamptz NOT NULL,
    PRIMARY KEY (workspace, day)
);
CREATE INDEX activity_day_due ON activity_day (due) WHERE state < 2;

-- The days whose rows a statement changes are not summed up any more, whoever changes them, by whichever version of whichever
-- service, with the transaction that does it. In the ordinary way only days change that are not summed up yet: they are
-- only read here, and nobody waits for anybody. OFFSET 0: each day is looked up by itself; a session keeps its plan, and where it
-- was made for many rows it would read all days there are.
DO $body$
DECLARE
    tabled text;
    changed text;
BEGIN
    EXECUTE format($sql$
        CREATE FUNCTION postmeter_day_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = %I, pg_temp AS $$
        DECLARE
            summed record;
        BEGIN
            IF TG_OP = 'INSERT' THEN
                INSERT INTO activity_day (workspace, day, due)
                SELECT c.workspace, c.bucket, greatest(c.bucket + interval '48 hours', now() + interval '1 hour')
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
    FOREACH tabled IN ARRAY ARRAY['activity_1d', 'link_activity_1d'] LOOP
        FOREACH changed IN ARRAY ARRAY['INSERT', 'UPDATE', 'DELETE'] LOOP
            EXECUTE format(
                'CREATE TRIGGER day_changed_by_%s AFTER %s ON %I REFERENCING %s TABLE AS changed'
                ' FOR EACH STATEMENT EXECUTE FUNCTION postmeter_day_changed()',
                lower(changed), changed, tabled, CASE changed WHEN 'DELETE' THEN 'OLD' ELSE 'NEW' END);
        END LOOP;
    END LOOP;
END $body$;

REVOKE ALL ON FUNCTION postmeter_day_changed() FROM PUBLIC;

-- The days of before, by the series that is the sum of all.
INSERT INTO activity_day (workspace, day, due)
SELECT w.number, a.bucket, greatest(a.bucket + interval '48 hours', now())
FROM workspace w CROSS JOIN LATERAL (
    SELECT bucket FROM activity_1d WHERE workspace = w.number AND series = 0 OFFSET 0) AS a;
