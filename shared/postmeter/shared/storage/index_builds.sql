-- name: filled_partitions
-- The partitions of table $1 that hold anything, the name of an index that ends with $2, and whether it was left half-made.
SELECT quote_ident(c.relname) AS partition, quote_ident(c.relname || '_' || $2) AS index, EXISTS (
    SELECT FROM pg_index x JOIN pg_class n ON n.oid = x.indexrelid
    WHERE x.indrelid = c.oid AND n.relname = c.relname || '_' || $2 AND NOT x.indisvalid) AS is_broken
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = to_regclass($1) AND pg_relation_size(c.oid) > 0 ORDER BY c.relname

-- name: drop
-- Take away what a build that failed has left.
DROP INDEX CONCURRENTLY {index}

-- name: build
-- Build one partition's index, if it is not there.
CREATE INDEX CONCURRENTLY IF NOT EXISTS {index} ON {partition} ({columns})

-- name: look
-- How often a partition has each value of a new index' expressions: the planner would guess.
ANALYZE {partition}

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
