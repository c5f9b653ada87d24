-- From when no service of the version before runs (ADR 0069), nobody reads hours of messages and links. Aggregators write them until
-- they are gone; a flush that meets this is tried again without them. One table after the other, in the order in which a flush
-- takes them, and nothing is held that a flush behind it waits for: so nobody waits in a circle.
DO $$
DECLARE
    named text;
    month record;
    keys text;
    counters text;
    less text;
    sums text;
    is_any text;
    more text;
BEGIN
    FOREACH named IN ARRAY ARRAY['link_activity', 'cohort_created', 'cohort_sent'] LOOP
        EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', named || '_1h');
        SELECT string_agg(format('%I', attname), ', ') FILTER (WHERE is_key),
            string_agg(format('%I', attname), ', ') FILTER (WHERE NOT is_key),
            string_agg(format('- coalesce(%I, 0)', attname), ', ') FILTER (WHERE NOT is_key),
            string_agg(format('postmeter_sparse(sum(%I)::bigint)', attname), ', ') FILTER (WHERE NOT is_key),
            string_agg(format('sum(%I) <> 0', attname), ' OR ') FILTER (WHERE NOT is_key),
            string_agg(format('%1$I = postmeter_sparse(coalesce(known.%1$I, 0) + coalesce(excluded.%1$I, 0))', attname), ', ')
                FILTER (WHERE NOT is_key)
        INTO keys, counters, less, sums, is_any, more
        FROM (SELECT attname, attname IN ('workspace', 'series', 'link') AS is_key FROM pg_attribute
            WHERE attrelid = (named || '_1h')::regclass AND attnum > 0 AND NOT attisdropped AND attname <> 'bucket'
            ORDER BY attnum) AS col;
        -- What quarter-hours lack of these months, which is all but late events of since the update, goes into the hours' first ones.
        FOR month IN
            SELECT relname::text AS hours, replace(relname, '_1h_', '_15m_') AS quarters,
                to_date(right(relname, 6), 'YYYYMM')::timestamp AS low
            FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
            WHERE inhparent = (named || '_1h')::regclass AND (relname IN (SELECT hours FROM hours_alone)
                OR to_regclass(replace(relname, '_1h_', '_15m_')) IS NULL)
        LOOP
            PERFORM postmeter_make_partition(
                named || '_15m', month.quarters, month.low || '+00', month.low + interval '1 month' || '+00', '');
            EXECUTE format(
                'INSERT INTO %1$I AS known (%4$s, bucket, %5$s) SELECT %4$s, bucket, %7$s FROM ('
                '    SELECT %4$s, bucket, %5$s FROM %2$I'
                '    UNION ALL SELECT %4$s, date_bin(''1 hour'', bucket, ''epoch''), %6$s FROM %3$I) AS n'
                ' GROUP BY %4$s, bucket HAVING %8$s ON CONFLICT (%4$s, bucket) DO UPDATE SET %9$s',
                named || '_15m', month.hours, month.quarters, keys, counters, less, sums, is_any, more);
        END LOOP;
        EXECUTE format('DROP TABLE %I', named || '_1h');
    END LOOP;
END $$;

DROP TABLE hours_alone;
