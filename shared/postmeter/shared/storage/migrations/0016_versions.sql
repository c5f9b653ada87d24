-- Versions of what a workspace's answers are made of (ADR 0046): a workspace's is the sum of its rows and of those of
-- workspace 0, which stand for all. Each transaction that changes anything raises one row, so the sum never comes twice.
-- A slot is a row that one transaction at a time has: who finds none free makes another, and nobody waits.
CREATE TABLE answer_version (
    workspace int NOT NULL,
    slot bigint GENERATED ALWAYS AS IDENTITY,
    version bigint NOT NULL,
    PRIMARY KEY (workspace, slot)
) WITH (fillfactor = 50);

DO $body$
DECLARE
    place text := format('SECURITY DEFINER SET search_path = %I, pg_temp', current_schema());
    tabled text;
    changed text;
BEGIN
    -- Raise the versions of workspaces, with the transaction that it is called in. A version is at least the clock's, in
    -- microseconds: of a database that was set back to a backup none comes again either.
    EXECUTE 'CREATE FUNCTION postmeter_raise_versions(raised int[]) RETURNS void LANGUAGE plpgsql ' || place || $sql$ AS $$
    DECLARE
        moment bigint := (extract(epoch FROM clock_timestamp()) * 1e6)::bigint;
    BEGIN
        WITH free AS MATERIALIZED (
            SELECT wanted.workspace, (
                SELECT slot FROM answer_version v WHERE v.workspace = wanted.workspace
                ORDER BY slot LIMIT 1 FOR UPDATE SKIP LOCKED) AS slot
            FROM (SELECT DISTINCT unnest(raised) AS workspace) AS wanted
        ), known AS (
            UPDATE answer_version v SET version = greatest(v.version + 1, moment)
            FROM free WHERE v.workspace = free.workspace AND v.slot = free.slot
        )
        INSERT INTO answer_version (workspace, version) SELECT workspace, moment FROM free WHERE slot IS NULL;
    END $$ $sql$;

    -- What a statement has changed in a small table: whoever changes it, by whichever version of whichever service.
    EXECUTE 'CREATE FUNCTION postmeter_changed() RETURNS trigger LANGUAGE plpgsql ' || place || $sql$ AS $$
    DECLARE
        raised int[];
    BEGIN
        IF TG_TABLE_NAME = 'workspace' THEN
            raised := array(SELECT number FROM changed);
        ELSE
            raised := array(SELECT DISTINCT workspace FROM changed);
        END IF;
        IF raised <> '{}' THEN
            PERFORM postmeter_raise_versions(raised);
        END IF;
        RETURN NULL;
    END $$ $sql$;

    FOREACH tabled IN ARRAY ARRAY['workspace', 'domain', 'campaign', 'confined_campaign', 'series', 'sending_ip',
                                  'conversion_15m', 'conversion_1h', 'conversion_1d']
    LOOP
        FOREACH changed IN ARRAY ARRAY['INSERT', 'UPDATE', 'DELETE'] LOOP
            EXECUTE format(
                'CREATE TRIGGER changed_by_%s AFTER %s ON %I REFERENCING %s TABLE AS changed'
                ' FOR EACH STATEMENT EXECUTE FUNCTION postmeter_changed()',
                lower(changed), changed, tabled, CASE changed WHEN 'DELETE' THEN 'OLD' ELSE 'NEW' END);
        END LOOP;
    END LOOP;

    -- A flush raises the versions of whom it counts for, and says so. One of an aggregator that does not know how, as while
    -- services are being updated, raises everybody's: it moves its shard in any case.
    EXECUTE 'CREATE FUNCTION postmeter_counted() RETURNS trigger LANGUAGE plpgsql ' || place || $sql$ AS $$
    BEGIN
        IF coalesce(current_setting('postmeter.versions', true), '') <> 'raised' THEN
            PERFORM postmeter_raise_versions(ARRAY[0]);
        END IF;
        RETURN NULL;
    END $$ $sql$;
END $body$;

CREATE TRIGGER counted AFTER UPDATE OF position ON shard
    FOR EACH ROW WHEN (old.position IS DISTINCT FROM new.position) EXECUTE FUNCTION postmeter_counted();

-- Whatever a migration changes.
CREATE TRIGGER counted AFTER INSERT ON migration FOR EACH STATEMENT EXECUTE FUNCTION postmeter_counted();

REVOKE ALL ON FUNCTION postmeter_raise_versions(int[]), postmeter_changed(), postmeter_counted() FROM PUBLIC;
