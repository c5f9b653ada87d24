-- name: tables
-- Where an index $2 of table $1 is to be built and what it is called there, and whether it was left half-made: partitions that
-- hold anything, and one of those that do not, so that an index that cannot be built beforehand is noticed anywhere; a
-- table without partitions if $3, which says that its migration allows that the index is there.
SELECT quote_ident(relname) AS name, quote_ident(index) AS index, EXISTS (
    SELECT FROM pg_index x JOIN pg_class n ON n.oid = x.indexrelid
    WHERE x.indrelid = place.oid AND n.relname = place.index AND NOT x.indisvalid) AS is_broken
FROM (
    SELECT c.oid, c.relname, $2 AS index, true AS is_wanted FROM pg_class c
    WHERE c.oid = to_regclass($1) AND c.relkind = 'r' AND $3
    UNION ALL
    SELECT c.oid, c.relname, c.relname || '_' || regexp_replace($2, '^' || $1 || '_', ''),
        pg_relation_size(c.oid) > 0 OR row_number() OVER (ORDER BY pg_relation_size(c.oid), c.relname) = 1
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass($1)) AS place
WHERE is_wanted ORDER BY relname

-- name: drop
-- Take away what a build that failed has left.
DROP INDEX CONCURRENTLY {index}

-- name: build
-- Build one table's index, if it is not there.
CREATE {unique}INDEX CONCURRENTLY IF NOT EXISTS {index} ON {table}{rest}

-- name: look
-- How often a table has each value of a new index' expressions: the planner would guess.
ANALYZE {table}

-- name: note_subjects
-- The subjects of a partition's messages, kept as long as it; those of the default partition, which stays, for ever. Of each
-- workspace so many that it shows whether these are too many.
INSERT INTO subject AS known (workspace, subject, until)
SELECT workspace, subject,
    coalesce(to_date(substring('{partition}', '_([0-9]{{6}})$'), 'YYYYMM')::timestamp AT TIME ZONE 'UTC', 'infinity')
FROM (
    SELECT workspace, subject, row_number() OVER (PARTITION BY workspace) AS place
    FROM {partition} GROUP BY workspace, subject) AS held
WHERE place <= {most} + 1
ORDER BY workspace, hashtextextended(subject, workspace)
ON CONFLICT (workspace, key) DO UPDATE SET until = excluded.until WHERE known.until < excluded.until

-- name: note_excess
-- Workspaces that have more subjects than are kept.
INSERT INTO subject_excess SELECT workspace FROM subject GROUP BY workspace HAVING count(*) > {most} ON CONFLICT DO NOTHING
