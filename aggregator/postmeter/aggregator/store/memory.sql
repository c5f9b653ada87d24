-- numbers: postmeter.aggregator.fold.states.Flag

-- name: lock
-- Hold slots $1, in their order, so that writers never wait in a circle; who wrote there last.
SELECT slot, writer FROM slot WHERE slot = ANY ($1::smallint[]) ORDER BY slot FOR UPDATE;

-- name: take
-- The last to write in slots $1 is $2.
UPDATE slot SET writer = $2 WHERE slot = ANY ($1::smallint[]);

-- name: messages
-- Of the messages ($1 workspaces, $2 ids) those that are there, by their places: series (null: nobody has registered it)
-- times, flags, how many links it has; and first engagements, by the places of their messages. $3 and $4, the least and the
-- greatest of the ids, say which months are looked into; in the order of the keys neighbours share their pages (ADR 0081).
-- OFFSET keeps the planner from beginning with the months: while they have no statistics it takes them for empty.
WITH n AS MATERIALIZED (
    SELECT * FROM unnest($1::int[], $2::uuid[]) WITH ORDINALITY AS n (workspace, id, place) ORDER BY workspace, id),
m AS (
    SELECT array_agg(n.place) AS place, array_agg(CASE WHEN m.flags & {Flag.PROVISIONAL} = 0 THEN m.series END) AS series,
        array_agg(m.sent_at) AS sent_at, array_agg(m.delivered_at) AS delivered_at,
        array_agg(m.flags) AS flags, array_agg(m.links) AS links
    FROM n CROSS JOIN LATERAL (
        SELECT * FROM message m WHERE m.workspace = n.workspace AND m.id = n.id AND m.id BETWEEN $3 AND $4 OFFSET 0) AS m),
e AS (
    SELECT array_agg(n.place) AS engaged, array_agg(e.kind) AS kind, array_agg(e.at) AS at
    FROM n CROSS JOIN LATERAL (
        SELECT * FROM engagement e WHERE e.workspace = n.workspace AND e.message = n.id AND e.message BETWEEN $3 AND $4
        OFFSET 0) AS e)
SELECT * FROM m, e;

-- name: move_engagements
-- First engagements of kinds $3 of the messages ($1 workspaces, $2 ids) were at $4.
UPDATE engagement e SET at = n.at
FROM unnest($1::int[], $2::uuid[], $3::smallint[], $4::timestamptz[]) AS n (workspace, message, kind, at)
WHERE e.workspace = n.workspace AND e.message = n.message AND e.kind = n.kind;
