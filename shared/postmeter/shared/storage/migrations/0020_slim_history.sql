-- Slim history (ADR 0051). What an ordinary open needs: when, whose, what, and numbers for what others said before it.
-- link: the URL's, user_agent_id: the user agent's; network: the first 24 bits of an IPv4 address. Where the text itself
-- stands in url, user_agent or ip, it counts: rows of before, and what is beyond the bound of a workspace's texts.
-- verdict: in its two lowest bits; above them the number of its reason (postmeter.shared.storage.verdict_reasons), unless that
-- stands in verdict_reason. Null: received_at is at; counted is true.
ALTER TABLE event ADD COLUMN link bigint, ADD COLUMN user_agent_id int, ADD COLUMN network int,
    ALTER COLUMN received_at DROP NOT NULL, ALTER COLUMN counted DROP NOT NULL, ALTER COLUMN counted DROP DEFAULT;

-- User agents by number. digest: the text's MD5. used_in: the first day of the last month in which something new named it;
-- it is taken out when no history can name it any more.
CREATE TABLE user_agent (
    workspace int NOT NULL,
    id int GENERATED ALWAYS AS IDENTITY,
    used_in date NOT NULL,
    digest bytea NOT NULL,
    text text NOT NULL,
    PRIMARY KEY (workspace, id),
    UNIQUE (workspace, digest)
);

-- A message's place in the history's index: half as long as the key, and two messages may share it. Who looks for one
-- also says which workspace and message he means.
CREATE FUNCTION postmeter_place(workspace int, message uuid) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN hashint4(workspace) # uuid_hash(message);

-- A time to about a second, as long as it stays in order: seconds since 2000.
CREATE FUNCTION postmeter_second(at timestamptz) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (date_part('epoch', at AT TIME ZONE 'UTC') - 946684800)::int;

-- The history as everybody reads it, whichever shape its rows have.
CREATE VIEW history AS
SELECT e.workspace, e.message, e.at, coalesce(e.received_at, e.at) AS received_at, e.type, e.series, e.bounce,
    (e.verdict & 3)::smallint AS verdict, coalesce(e.verdict_reason, postmeter_verdict_reason(e.verdict)) AS verdict_reason,
    e.reason,
    CASE WHEN e.link IS NULL THEN e.url
        ELSE (SELECT l.url FROM link l WHERE l.workspace = e.workspace AND l.id = e.link) END AS url,
    CASE WHEN e.user_agent_id IS NULL THEN e.user_agent
        ELSE (SELECT u.text FROM user_agent u WHERE u.workspace = e.workspace AND u.id = e.user_agent_id)
        END AS user_agent,
    CASE WHEN e.network IS NULL THEN e.ip ELSE host('0.0.0.0'::inet + e.network * 256::bigint) END AS ip,
    e.claimed_at, coalesce(e.counted, true) AS counted, e.source
FROM event e;
