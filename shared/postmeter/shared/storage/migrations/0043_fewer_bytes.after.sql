-- From when no service of the version before runs (ADR 0066): sums of seconds, which it reads, are not written any more. Those that there
-- are mean nothing, and go with their month.
CREATE OR REPLACE FUNCTION postmeter_totals_of_seconds() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE RETURN false;

-- message_named has taken its place.
DROP INDEX message_provider_message;
