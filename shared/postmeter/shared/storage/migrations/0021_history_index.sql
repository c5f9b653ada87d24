-- The history of a message by its place and time (ADR 0051): 20 bytes an entry instead of 44. Built before this, month by
-- month (index_builds.py).
CREATE INDEX event_place ON event (postmeter_place(workspace, message), postmeter_second(at));
DROP INDEX event_message;

-- Months that hold nothing yet are made anew: a new one has its columns in the order in which they need the least room.
DO $$
DECLARE
    month record;
    bounds text[];
    is_empty boolean;
BEGIN
    FOR month IN
        SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) AS bound FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'event'::regclass ORDER BY c.relname
    LOOP
        EXECUTE format('LOCK TABLE %I IN SHARE ROW EXCLUSIVE MODE', month.relname);
        EXECUTE format('SELECT NOT EXISTS (SELECT FROM %I)', month.relname) INTO is_empty;
        bounds := regexp_match(month.bound, 'FROM \(''(.*)''\) TO \(''(.*)''\)');
        IF is_empty THEN
            EXECUTE format('DROP TABLE %I', month.relname);
            PERFORM postmeter_make_partition('event', month.relname, bounds[1], bounds[2], '');
        END IF;
    END LOOP;
END $$;
