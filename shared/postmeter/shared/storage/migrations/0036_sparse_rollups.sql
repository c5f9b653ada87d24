-- Rollups without zeros (ADR 0064): most counters of most rows are 0, and a null takes no room.

-- What writers store of a counter. Until 0037 that is the number itself, for services of the version before add to it; from then
-- on null stands for 0.
CREATE FUNCTION postmeter_sparse(n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN n;

-- Messages by their creation, as before, but in the direction in which they come: an index that grows at its end has full pages,
-- one that grows at its beginning half empty ones. Read backwards it is (created_at DESC, id).
CREATE INDEX message_created_at ON message (workspace, created_at, id DESC);

-- A recipient's messages by a hash of who it is: an entry of 28 bytes instead of 92. Who looks for them says it beside workspace
-- and to_hash themselves.
CREATE INDEX message_to ON message (hashtextextended(to_hash, workspace), created_at);
