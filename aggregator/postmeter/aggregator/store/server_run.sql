-- name: name
-- What no other run of a server, and no other database of this one, is called; and the server's time.
SELECT pg_postmaster_start_time()::text || ' ' || oid AS name, clock_timestamp() AS now
FROM pg_database WHERE datname = current_database();
