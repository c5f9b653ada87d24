-- What one series did, such as a campaign's, without reading the others of the same days.
CREATE INDEX activity_15m_series ON activity_15m (workspace, series, bucket);
CREATE INDEX activity_1h_series ON activity_1h (workspace, series, bucket);
CREATE INDEX activity_1d_series ON activity_1d (workspace, series, bucket);

-- Messages by the time of their creation under their present state: postmeter.shared.storage.rollups.CREATED.
CREATE TABLE cohort_created_1s (
    workspace int NOT NULL,
    series bigint NOT NULL,
    bucket timestamptz NOT NULL,
    queued bigint NOT NULL DEFAULT 0,
    sending bigint NOT NULL DEFAULT 0,
    sent bigint NOT NULL DEFAULT 0,
    soft_bounced bigint NOT NULL DEFAULT 0,
    delivered bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    hard_bounced bigint NOT NULL DEFAULT 0,
    complained bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace, bucket, series)
) PARTITION BY RANGE (bucket);
CREATE INDEX cohort_created_1s_series ON cohort_created_1s (workspace, series, bucket);
CREATE TABLE cohort_created_15m (LIKE cohort_created_1s INCLUDING ALL) PARTITION BY RANGE (bucket);
CREATE TABLE cohort_created_1h (LIKE cohort_created_1s INCLUDING ALL) PARTITION BY RANGE (bucket);
CREATE TABLE cohort_created_1d (LIKE cohort_created_1s INCLUDING ALL) PARTITION BY RANGE (bucket);

-- Sent messages by the time of their sending, and what became of them: postmeter.shared.storage.rollups.SENT.
CREATE TABLE cohort_sent_15m (
    workspace int NOT NULL,
    series bigint NOT NULL,
    bucket timestamptz NOT NULL,
    mailed bigint NOT NULL DEFAULT 0,
    opened bigint NOT NULL DEFAULT 0,
    clicked bigint NOT NULL DEFAULT 0,
    replied bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace, bucket, series)
) PARTITION BY RANGE (bucket);
CREATE INDEX cohort_sent_15m_series ON cohort_sent_15m (workspace, series, bucket);
CREATE TABLE cohort_sent_1h (LIKE cohort_sent_15m INCLUDING ALL) PARTITION BY RANGE (bucket);

-- Links that were clicked, and clicks by link: postmeter.shared.storage.rollups.LINKS. Link 0 is (other). digest: MD5.
CREATE TABLE link (
    workspace int NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    digest bytea NOT NULL,
    url text NOT NULL,
    PRIMARY KEY (workspace, id),
    UNIQUE (workspace, digest)
);
CREATE TABLE link_activity_15m (
    workspace int NOT NULL,
    series bigint NOT NULL,
    bucket timestamptz NOT NULL,
    link bigint NOT NULL,
    human_clicks bigint NOT NULL DEFAULT 0,
    machine_clicks bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace, bucket, series, link)
) PARTITION BY RANGE (bucket);
CREATE INDEX link_activity_15m_series ON link_activity_15m (workspace, series, bucket);
CREATE TABLE link_activity_1h (LIKE link_activity_15m INCLUDING ALL) PARTITION BY RANGE (bucket);
CREATE TABLE link_activity_1d (LIKE link_activity_15m INCLUDING ALL) PARTITION BY RANGE (bucket);

-- Bounces by normalised reason (a closed set: postmeter.aggregator.bounces) and UTC day.
CREATE TABLE bounce_reason_1d (
    workspace int NOT NULL,
    series bigint NOT NULL,
    bucket timestamptz NOT NULL,
    reason text NOT NULL,
    bounced bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace, bucket, series, reason)
) PARTITION BY RANGE (bucket);
CREATE INDEX bounce_reason_1d_series ON bounce_reason_1d (workspace, series, bucket);

-- The campaign's first sending; status is what its owner said last, '' when nothing was said.
ALTER TABLE campaign ADD COLUMN sent_at timestamptz, ADD COLUMN status_at timestamptz NOT NULL DEFAULT 'epoch';

-- Exports: durable jobs. parameters: the order as JSON; domains: those of the key that ordered it, null for all.
-- attempt rises with each worker that takes the job: a worker whose attempt is not the row's any more has lost it.
-- given_back: attempts that ended because their worker was stopped. removed_at: when the files of all attempts
-- were removed. taken_at: when an attempt began last. estimate: about how many seconds of work it is.
CREATE TABLE export (
    workspace int NOT NULL,
    id text NOT NULL,
    type text NOT NULL,
    format text NOT NULL,
    parameters text NOT NULL,
    domains text[],
    status text NOT NULL DEFAULT 'processing',
    progress int NOT NULL DEFAULT 0,
    error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    expires_at timestamptz,
    removed_at timestamptz,
    file text,
    file_size_bytes bigint,
    attempt int NOT NULL DEFAULT 0,
    given_back int NOT NULL DEFAULT 0,
    lease_until timestamptz,
    taken_at timestamptz,
    estimate real NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace, id)
);
CREATE INDEX export_open ON export (workspace, created_at) WHERE status = 'processing';
CREATE INDEX export_taken ON export (workspace, taken_at) WHERE taken_at IS NOT NULL;
CREATE INDEX export_files ON export (expires_at) WHERE removed_at IS NULL;
CREATE INDEX export_removed ON export (removed_at) WHERE removed_at IS NOT NULL;

-- History by time, for exports. Events come nearly in the order of time, so that this costs writers next to nothing.
CREATE INDEX event_at ON event USING brin (at) WITH (pages_per_range = 32);

-- IPs that a workspace sends from, and in which DNSBL zones each was listed when it was looked up last.
-- attempted_at: the last look-up; checked_at: the last one that at least one zone answered.
CREATE TABLE sending_ip (
    workspace int NOT NULL,
    ip inet NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    attempted_at timestamptz,
    checked_at timestamptz,
    listed_in text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (workspace, ip)
);
CREATE INDEX sending_ip_due ON sending_ip (attempted_at NULLS FIRST);
