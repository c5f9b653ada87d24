-- name: roles
-- Those of the roles $1 that the server has.
SELECT rolname FROM pg_roles WHERE rolname = ANY ($1::text[]) ORDER BY rolname

-- name: take
-- Leave {role} nothing in the schema {schema}.
REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role};
REVOKE ALL ON ALL SEQUENCES IN SCHEMA {schema} FROM {role};
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {schema} FROM {role};
REVOKE ALL ON SCHEMA {schema} FROM {role};

-- name: enter
-- Let {role} find what is in the schema {schema}.
GRANT USAGE ON SCHEMA {schema} TO {role};
