-- name: role
-- Whether there is a role $1.
SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)

-- name: owner
-- Whose database $1 is; null where there is none.
SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = $1

-- name: not_owned
-- Tables, views, sequences of their own and functions of the schema public that are not $1's, with the word that ALTER wants.
SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END AS kind, c.oid::regclass::text AS name
FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND pg_get_userbyid(c.relowner) <> $1
    AND (c.relkind IN ('r', 'p', 'v') OR c.relkind = 'S' AND NOT EXISTS (
        SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')))
UNION ALL
SELECT 'FUNCTION', p.oid::regprocedure::text FROM pg_proc p
WHERE p.pronamespace = 'public'::regnamespace AND pg_get_userbyid(p.proowner) <> $1
