-- Rollups by the second without sums, and messages by a hash of their providers' names (ADR 0066).

-- Messages by the second of their creation: in a second hardly more than one is created, so that the sum of all series was every row
-- twice. Who reads seconds adds up series. Whether who writes them writes the sum all the same; until 0043 it does, for services of
-- the version before read it. STABLE, not IMMUTABLE: so it stands in plans as what it says, and they are made anew when it
-- says something else.
CREATE FUNCTION postmeter_totals_of_seconds() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE RETURN true;

-- A provider's name of a message by a hash: an entry of 20 bytes instead of 60. Who looks for one says it beside workspace, provider and
-- name themselves. Messages without a name are null, not left out: of an index without them the planner does not know how rare a
-- value is.
CREATE INDEX message_named ON message (hashtextextended(nullif(provider_message, ''), workspace));
