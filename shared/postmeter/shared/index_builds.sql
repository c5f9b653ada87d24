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
