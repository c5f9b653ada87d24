-- name: roles
-- Those of the roles $1 that the server has.
SELECT rolname FROM pg_roles WHERE rolname = ANY ($1::text[]) ORDER BY rolname

-- name: take
-- Leave {role} nothing but the way into the schema {schema}.
REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role};
REVOKE ALL ON ALL SEQUENCES IN SCHEMA {schema} FROM {role};
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {schema} FROM {role};
REVOKE ALL ON SCHEMA {schema} FROM {role};
GRANT USAGE ON SCHEMA {schema} TO {role};
