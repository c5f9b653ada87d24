-- name: make
-- The function that makes a partition: services may not create tables (ADR 0029). Run by the owner; {schema} is where the
-- tables are. low, high: its bounds. id: the column of those whose rows of the default partition move into it, or ''.
-- Its columns stand in the order in which they need the least room (ADR 0051), whatever the parent's. Rollups, which are those
-- with buckets, keep a fifth of each page free: their rows are updated again and again, in place where there is room (ADR 0055).
CREATE OR REPLACE FUNCTION postmeter_make_partition(parent text, partition text, low text, high text, id text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
DECLARE
    columns text;
    names text;
BEGIN
    PERFORM postmeter_check_partition(parent, partition);
    PERFORM set_config('lock_timeout', '5s', true);
    -- A migration and aggregators may be at it at once. ATTACH takes this lock in any case.
    EXECUTE format('LOCK TABLE %I IN SHARE UPDATE EXCLUSIVE MODE', parent);
    IF to_regclass(quote_ident(partition)) IS NOT NULL THEN
        RETURN;
    END IF;
    SELECT string_agg(format('%I %s%s', attname, format_type(atttypid, atttypmod),
            CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END), ', ' ORDER BY place, attnum),
        string_agg(quote_ident(attname), ', ' ORDER BY place, attnum)
    INTO columns, names
    FROM pg_attribute, LATERAL (
        SELECT CASE WHEN attlen < 0 THEN 9 ELSE position(attalign::text IN 'disc') END AS place) AS aligned
    WHERE attrelid = to_regclass(quote_ident(parent)) AND attnum > 0 AND NOT attisdropped;
    EXECUTE format('CREATE TABLE %I (%s)%s', partition, columns, CASE WHEN EXISTS (
        SELECT FROM pg_attribute WHERE attrelid = to_regclass(quote_ident(parent)) AND attname = 'bucket')
        THEN ' WITH (fillfactor = 80)' ELSE '' END);
    IF id <> '' THEN
        EXECUTE format(
            'WITH moved AS (DELETE FROM %1$I WHERE %2$I >= %3$L AND %2$I < %4$L RETURNING %6$s)'
            ' INSERT INTO %5$I (%6$s) SELECT %6$s FROM moved',
            parent || '_default', id, low, high, partition, names);
    END IF;
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, partition, low, high);
END $$

-- name: drop
-- The function that drops a partition whose time is over.
CREATE OR REPLACE FUNCTION postmeter_drop_partition(parent text, partition text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
BEGIN
    PERFORM postmeter_check_partition(parent, partition);
    PERFORM set_config('lock_timeout', '2s', true);
    EXECUTE format('DROP TABLE %I', partition);
    PERFORM postmeter_raise_versions(ARRAY[0]);  -- answers of whichever workspace lack it now
END $$

-- name: check
-- Raises unless the name is one of a dated partition of a partitioned table of ours.
CREATE OR REPLACE FUNCTION postmeter_check_partition(parent text, partition text)
RETURNS void LANGUAGE plpgsql SET search_path = {schema}, pg_temp AS $$
BEGIN
    IF partition !~ '_([0-9]{{6}}|[0-9]{{8}})$' OR regexp_replace(partition, '_[0-9]+$', '') <> parent
        OR NOT EXISTS (SELECT FROM pg_partitioned_table WHERE partrelid = to_regclass(quote_ident(parent)))
    THEN
        RAISE EXCEPTION '% is not a dated partition of %', partition, parent USING ERRCODE = 'insufficient_privilege';
    END IF;
END $$

-- name: close
-- Nobody calls these but whom the owner lets.
REVOKE ALL ON FUNCTION postmeter_make_partition(text, text, text, text, text), postmeter_drop_partition(text, text),
    postmeter_check_partition(text, text) FROM PUBLIC

-- name: missing
-- Those of the partitions $2 of the table $1 that are not there; none where the table itself is not.
SELECT partition FROM unnest($2::text[]) AS partition
WHERE to_regclass($1) IS NOT NULL AND to_regclass(partition) IS NULL

-- name: oldest
-- The beginning of the first month that table $1 has a partition of.
SELECT min(to_date(substring(c.relname FROM '_([0-9]{6})$'), 'YYYYMM'))
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass($1)

-- name: leaving
-- Those of the tables $1 that are there.
SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NOT NULL

-- name: make_all
-- Make partitions of the table $1, all or none: $2 their names, $3 and $4 their bounds, $5 as the function's id.
SELECT postmeter_make_partition($1, partition, low, high, $5)
FROM unnest($2::text[], $3::text[], $4::text[]) AS wanted (partition, low, high)
