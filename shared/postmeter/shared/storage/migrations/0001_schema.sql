-- Workspaces and who may read them. `number` is the short name that tokens and keys of every table carry.
CREATE TABLE workspace (
    number int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL UNIQUE,
    name text NOT NULL,
    timezone text NOT NULL DEFAULT 'UTC',
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api_key (
    id text PRIMARY KEY,
    workspace int NOT NULL REFERENCES workspace (number),
    hmac bytea NOT NULL,
    role text NOT NULL,
    scopes text[] NOT NULL,
    domains text[],
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);

CREATE TABLE domain (
    workspace int NOT NULL,
    name text NOT NULL,
    id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace, name),
    UNIQUE (workspace, id)
);

-- named_at: the registration that gave the name; the latest one wins, whatever the order of arrival.
CREATE TABLE campaign (
    workspace int NOT NULL,
    id text NOT NULL,
    name text NOT NULL,
    named_at timestamptz NOT NULL DEFAULT 'epoch',
    status text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace, id)
);

-- One row per combination of dimensions; every message points to one. '' means none.
CREATE TABLE series (
    workspace int NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    campaign text NOT NULL DEFAULT '',
    domain text NOT NULL DEFAULT '',
    provider text NOT NULL DEFAULT '',
    template text NOT NULL DEFAULT '',
    tags text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (workspace, id),
    UNIQUE (workspace, campaign, domain, provider, template, tags)
);
CREATE INDEX series_domain ON series (workspace, domain);

-- Messages. state is postmeter.shared.stream.events.State; it only rises.
CREATE TABLE message (
    workspace int NOT NULL,
    id uuid NOT NULL,
    series bigint NOT NULL,
    state smallint NOT NULL DEFAULT 1,
    campaign text NOT NULL,
    from_address text NOT NULL,
    to_hash text NOT NULL,
    to_domain text NOT NULL,
    subject text NOT NULL,
    provider text NOT NULL,
    provider_account text NOT NULL,
    provider_message text NOT NULL,
    template text NOT NULL,
    tags text[] NOT NULL,
    created_at timestamptz NOT NULL,
    sent_at timestamptz,
    delivered_at timestamptz,
    PRIMARY KEY (workspace, id)
) PARTITION BY RANGE (id);
CREATE TABLE message_default PARTITION OF message DEFAULT;
CREATE INDEX message_provider_message ON message (workspace, provider, provider_message)
    WHERE provider_message <> '';
CREATE INDEX message_created ON message (workspace, created_at DESC, id);

-- First counted open, click, reply, unsubscribe of each message (events.Engagement). was: the time that the
-- row held before, where an earlier event arrived after a later one.
CREATE TABLE engagement (
    workspace int NOT NULL,
    message uuid NOT NULL,
    kind smallint NOT NULL,
    at timestamptz NOT NULL,
    was timestamptz,
    series bigint NOT NULL,
    PRIMARY KEY (workspace, message, kind)
) PARTITION BY RANGE (message);
CREATE TABLE engagement_default PARTITION OF engagement DEFAULT;

-- History. type, bounce, verdict are the numbers of postmeter.shared.stream.events; at is the bucket's time,
-- claimed_at the sender's own where it was out of range; ip is truncated to /24 or /48.
CREATE TABLE event (
    workspace int NOT NULL,
    message uuid,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    type smallint NOT NULL,
    series bigint NOT NULL,
    bounce smallint,
    verdict smallint,
    verdict_reason text,
    reason text,
    url text,
    user_agent text,
    ip text,
    claimed_at timestamptz
) PARTITION BY RANGE (at);
CREATE INDEX event_message ON event (workspace, message, at);

-- Activity rollups, the same columns in each tier: postmeter.shared.storage.rollups.COUNTERS.
CREATE TABLE activity_15m (
    workspace int NOT NULL,
    series bigint NOT NULL,
    bucket timestamptz NOT NULL,
    sent bigint NOT NULL DEFAULT 0,
    delivered bigint NOT NULL DEFAULT 0,
    deferred bigint NOT NULL DEFAULT 0,
    hard_bounced bigint NOT NULL DEFAULT 0,
    soft_bounced bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    complained bigint NOT NULL DEFAULT 0,
    unsubscribed bigint NOT NULL DEFAULT 0,
    unique_unsubscribed bigint NOT NULL DEFAULT 0,
    human_opens bigint NOT NULL DEFAULT 0,
    proxy_opens bigint NOT NULL DEFAULT 0,
    machine_opens bigint NOT NULL DEFAULT 0,
    unique_opens bigint NOT NULL DEFAULT 0,
    human_clicks bigint NOT NULL DEFAULT 0,
    machine_clicks bigint NOT NULL DEFAULT 0,
    unique_clicks bigint NOT NULL DEFAULT 0,
    replies bigint NOT NULL DEFAULT 0,
    unique_replies bigint NOT NULL DEFAULT 0,
    received bigint NOT NULL DEFAULT 0,
    spam bigint NOT NULL DEFAULT 0,
    size_bytes bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace, bucket, series)
) PARTITION BY RANGE (bucket);
CREATE TABLE activity_1h (LIKE activity_15m INCLUDING ALL) PARTITION BY RANGE (bucket);
CREATE TABLE activity_1d (LIKE activity_15m INCLUDING ALL) PARTITION BY RANGE (bucket);

-- Live totals since the workspace began, per stream shard; published to Redis after each commit.
CREATE TABLE live_total (
    workspace int NOT NULL,
    shard int NOT NULL,
    opens bigint NOT NULL DEFAULT 0,
    unique_opens bigint NOT NULL DEFAULT 0,
    machine_opens bigint NOT NULL DEFAULT 0,
    clicks bigint NOT NULL DEFAULT 0,
    unique_clicks bigint NOT NULL DEFAULT 0,
    machine_clicks bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace, shard)
);

-- Where each stream shard has been counted up to, and who counts it. position moves in the same
-- transaction as the counts; a takeover raises epoch.
CREATE TABLE shard (
    shard int PRIMARY KEY,
    position text NOT NULL DEFAULT '0-0',
    epoch bigint NOT NULL DEFAULT 0,
    owner text,
    lease_until timestamptz
);

-- Aggregators that live; the shards are shared out among them.
CREATE TABLE aggregator (
    id text PRIMARY KEY,
    seen_at timestamptz NOT NULL
);

-- Batch ids (workspace 0) and idempotency keys that have been counted.
CREATE TABLE dedup (
    workspace int NOT NULL,
    key bytea NOT NULL,
    day timestamptz NOT NULL,
    digest bytea,
    PRIMARY KEY (workspace, key, day)
) PARTITION BY RANGE (day);

-- Records that could not be decoded or counted, with the reason; kept for a person to look at.
CREATE TABLE dead_letter (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace int,
    shard int NOT NULL,
    batch text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    reason text NOT NULL,
    record bytea NOT NULL
);
CREATE INDEX dead_letter_at ON dead_letter (at);

-- Events whose message is not known yet; they count when it comes.
CREATE TABLE waiting (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace int NOT NULL,
    message uuid,
    provider text NOT NULL DEFAULT '',
    provider_message text NOT NULL DEFAULT '',
    since timestamptz NOT NULL DEFAULT now(),
    record bytea NOT NULL
);
CREATE INDEX waiting_message ON waiting (workspace, message) WHERE message IS NOT NULL;
CREATE INDEX waiting_provider_message ON waiting (workspace, provider, provider_message) WHERE message IS NULL;
CREATE INDEX waiting_since ON waiting (since);
