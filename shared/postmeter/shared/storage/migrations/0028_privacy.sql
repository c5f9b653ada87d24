-- What may be kept of recipients' opens and clicks (docs/privacy.md, ADR 0059). Levels are the numbers of
-- postmeter.shared.privacy.levels, choices those of its Choice. Messages hold their levels in `flags`: opens in bits 4 to
-- 6, clicks in bits 7 to 9.

-- What a workspace has said. There is a row as soon as it has said anything, or any of its recipients has chosen: of a
-- workspace without one nobody asks further. months: null: as long as the installation keeps it.
CREATE TABLE privacy_setting (
    workspace int PRIMARY KEY,
    opens smallint NOT NULL DEFAULT 0,
    clicks smallint NOT NULL DEFAULT 0,
    unknown_opens smallint NOT NULL DEFAULT 0,
    unknown_clicks smallint NOT NULL DEFAULT 0,
    denied_opens smallint NOT NULL DEFAULT 4,
    denied_clicks smallint NOT NULL DEFAULT 4,
    history_months int,
    messages_months int,
    contacts_months int,
    consent_months int
);

-- Ceilings of sending domains.
CREATE TABLE privacy_domain (
    workspace int NOT NULL,
    domain text NOT NULL,
    opens smallint NOT NULL,
    clicks smallint NOT NULL,
    PRIMARY KEY (workspace, domain)
);

-- What recipients have chosen, as it is now. opens_at, clicks_at: when that was chosen; the latest choice holds, whichever
-- arrives last. changed_at: when this row changed.
CREATE TABLE recipient_choice (
    workspace int NOT NULL,
    to_hash text NOT NULL,
    opens smallint NOT NULL DEFAULT 0,
    clicks smallint NOT NULL DEFAULT 0,
    opens_at timestamptz,
    clicks_at timestamptz,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (workspace, to_hash)
);
CREATE INDEX recipient_choice_changed ON recipient_choice (changed_at);

-- The proof: every choice as it was told, never changed. Null: nothing was said of that. recorded_by: the key or user
-- that told it, or `recipient`, on the preferences page.
CREATE TABLE consent (
    workspace int NOT NULL,
    to_hash text NOT NULL,
    id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    opens smallint,
    clicks smallint,
    method text NOT NULL,
    text_version text NOT NULL,
    source text NOT NULL,
    at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    recorded_by text NOT NULL,
    PRIMARY KEY (workspace, to_hash, id)
);
CREATE INDEX consent_recorded ON consent (workspace, recorded_at);

-- What tokens name that are the same for all recipients: a campaign, or all mail without one of a sending domain. A
-- dimension that not all of its messages have in common is empty.
CREATE TABLE anonymous_source (
    workspace int NOT NULL,
    id uuid NOT NULL,
    campaign text NOT NULL,
    domain text NOT NULL,
    provider text NOT NULL,
    template text NOT NULL,
    series bigint NOT NULL,
    PRIMARY KEY (workspace, id)
);

-- Level last_date: the day of a recipient's last open, and nothing else of it.
CREATE TABLE last_open (
    workspace int NOT NULL,
    to_hash text NOT NULL,
    day date NOT NULL,
    PRIMARY KEY (workspace, to_hash)
);

-- Erasures: jobs, and afterwards their proof. to_hash: whose; null once it is done. removed: rows by table.
CREATE TABLE erasure (
    workspace int NOT NULL,
    id uuid NOT NULL,
    to_hash text,
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    removed jsonb NOT NULL DEFAULT '{}',
    completed_at timestamptz,
    PRIMARY KEY (workspace, id)
);
CREATE INDEX erasure_open ON erasure (requested_at) WHERE completed_at IS NULL;

-- What was erased, as digests that say nothing to who does not have the thing itself: recipients (what was told of one
-- before `at` and comes late makes nothing anew), and messages by their providers' names.
CREATE TABLE erased (
    workspace int NOT NULL,
    digest bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (workspace, digest)
);
CREATE INDEX erased_at ON erased (at);

-- Who changed what. actor: `key:ID`, `user:ID`, `command` (of the host) or `recipient`.
CREATE TABLE audit (
    workspace int NOT NULL,
    id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    details jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (workspace, id)
);
CREATE INDEX audit_at ON audit (at);

-- Opens and clicks (of people and proxies) of which nobody can tell whose they were, and delivered messages whose opens can
-- be seen one by one.
ALTER TABLE activity_15m ADD COLUMN anonymous_opens bigint NOT NULL DEFAULT 0,
    ADD COLUMN anonymous_clicks bigint NOT NULL DEFAULT 0, ADD COLUMN trackable bigint NOT NULL DEFAULT 0;
ALTER TABLE activity_1h ADD COLUMN anonymous_opens bigint NOT NULL DEFAULT 0,
    ADD COLUMN anonymous_clicks bigint NOT NULL DEFAULT 0, ADD COLUMN trackable bigint NOT NULL DEFAULT 0;
ALTER TABLE activity_1d ADD COLUMN anonymous_opens bigint NOT NULL DEFAULT 0,
    ADD COLUMN anonymous_clicks bigint NOT NULL DEFAULT 0, ADD COLUMN trackable bigint NOT NULL DEFAULT 0;
