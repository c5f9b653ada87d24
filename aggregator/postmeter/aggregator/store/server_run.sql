-- name: name
-- What no other run of a server, and no other database of this one, is called.
SELECT pg_postmaster_start_time()::text || ' ' || oid FROM pg_database WHERE datname = current_database();
