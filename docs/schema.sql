-- The tables as they are after all migrations, with what these say of them; (0005) names the migration that said it.
-- Written by `python -m tests.schema`, held against the migrations by a test. Partitions are left out. Of triggers,
-- views and functions there is what they are called by; what they do stands in the migrations.

-- Workspaces and who may read them. `number` is the short name that tokens and keys of every table carry.
CREATE TABLE workspace (
    number int NOT NULL GENERATED ALWAYS AS IDENTITY,
    id text NOT NULL,
    name text NOT NULL,
    timezone text NOT NULL DEFAULT 'UTC',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (number),
    UNIQUE (id)
);
CREATE TRIGGER changed_by_delete AFTER DELETE ON workspace EXECUTE FUNCTION postmeter_changed();
CREATE TRIGGER changed_by_insert AFTER INSERT ON workspace EXECUTE FUNCTION postmeter_changed();
CREATE TRIGGER changed_by_update AFTER UPDATE ON workspace EXECUTE FUNCTION postmeter_changed();

-- (0015) What people call a key.
CREATE TABLE api_key (
    id text NOT NULL,
    workspace int NOT NULL,
    hmac bytea NOT NULL,
    role text NOT NULL,
    scopes text[] NOT NULL,
    domains text[],
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz,
    name text NOT NULL DEFAULT '',
    PRIMARY KEY (id),
    FOREIGN KEY (workspace) REFERENCES workspace(number)
);

CREATE TABLE domain (
    workspace int NOT NULL,
    name text NOT NULL,
    id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace, name),
    UNIQUE (workspace, id)
);
CREATE TRIGGER changed_by_delete AFTER DELETE ON domain EXECUTE FUNCTION postmeter_changed();
CREATE TRIGGER changed_by_insert AFTER INSERT ON domain EXECUTE FUNCTION postmeter_changed();
CREATE TRIGGER changed_by_update AFTER UPDATE ON domain EXECUTE FUNCTION postmeter_changed();

-- named_at: the registration that gave the name; the latest one wins, whatever the order of arrival.
-- (0002) The campaign's first sending; status is what its owner said last, '' when nothing was said.
CREATE TABLE campaign (
    workspace int NOT NULL,
    id text NOT NULL,
    name text NOT NULL,
    named_at timestamptz NOT NULL DEFAULT '1970-01-01 00:00:00+00',
    status text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
    status_at timestamptz NOT NULL DEFAULT '1970-01-01 00:00:00+00',
    PRIMARY KEY (workspace, id)
);
CREATE TRIGGER changed_by_delete AFTER DELETE ON campaign EXECUTE FUNCTION postmeter_changed();
CREATE TRIGGER changed_by_insert AFTER INSERT ON campaign EXECUTE FUNCTION postmeter_changed();
CREATE TRIGGER changed_by_update AFTER UPDATE ON campaign EXECUTE FUNCTION postmeter_changed();

-- One row per combination of dimensions; every message points to one. '' means none.
-- (0006) Mailbox provider of the recipients: another dimension of a series. What was mailed before has none.
-- (0045) from_address and provider_account of the first message of a series, as of most others of it; null: nobody knows. They stay.
CREATE TABLE series (
    workspace int NOT NULL,
    id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    campaign text NOT NULL DEFAULT '',
    domain text NOT NULL DEFAULT '',
    provider text NOT NULL DEFAULT '',
    template text NOT NULL DEFAULT '',
    tags text[] NOT NULL DEFAULT '{}'[],
    mailbox_provider text NOT NULL DEFAULT '',
    usual_from text,
    usual_account text,
    PRIMARY KEY (workspace, id),
    UNIQUE (workspace, campaign, domain, provider, template, tags, mailbox_provider)
);
CREATE INDEX series_domain ON series (workspace, domain);
CREATE TRIGGER changed_by_delete AFTER DELETE ON series EXECUTE FUNCTION postmeter_changed();
CREATE TRIGGER changed_by_insert AFTER INSERT ON series EXECUTE FUNCTION postmeter_changed();
CREATE TRIGGER changed_by_update AFTER UPDATE ON series EXECUTE FUNCTION postmeter_changed();

-- Messages. state is postmeter.shared.stream.events.State; it only rises.
-- (0007) flags of a message: 1: it carries our pixel, 2: it carries our links, 4: nobody has registered it, a provider's
-- webhook told of it (ADR 0020). What was registered before carries both.
-- (0008) links of a message: how many different destinations its tracked links have; 0: not known.
-- (0010) flags of a message: 8: a key that is confined to domains registered it. domain: of its sender, where what a provider
-- tells decides whose message it is: of messages with that flag, and of those that only a webhook told of (null: it
-- did not say). ADR 0035.
-- (0014) What the sender itself calls the recipient: opaque to us, kept as it was given; '' where it was not.
-- (0023) Messages by their subject (ADR 0053); their subjects are all noted by now (index_builds.py). The workspace is in the hash and
-- not a column of its own: statements that look for messages by their ids would be planned to walk through a whole workspace
-- by this index while a month has few.
-- (0036) Messages by their creation, as before, but in the direction in which they come: an index that grows at its end has full pages,
-- one that grows at its beginning half empty ones. Read backwards it is (created_at DESC, id).
-- (0042) A provider's name of a message by a hash: an entry of 20 bytes instead of 60. Who looks for one says it beside workspace, provider and
-- name themselves. Messages without a name are null, not left out: of an index without them the planner does not know how rare a
-- value is.
-- (0045) to_hash as bytes, half as long: one of the two is null. Until 0049 nobody writes it, for services of the version before read to_hash.
-- (0049) Null: as the series says, or to_digest. A text that stands in the row counts: in rows of before, in the series of all combinations
-- beyond the limit, where the sender was another one or the tags had another order, and of messages that nobody has registered.
-- (0049) A recipient's messages, in either shape, by a hash of who it is. Who looks for them says it beside workspace and to_hash, of `mail`.
CREATE TABLE message (
    workspace int NOT NULL,
    id uuid NOT NULL,
    series bigint NOT NULL,
    state smallint NOT NULL DEFAULT 1,
    campaign text,
    from_address text,
    to_hash text,
    to_domain text NOT NULL,
    subject text NOT NULL,
    provider text,
    provider_account text,
    provider_message text NOT NULL,
    template text,
    tags text[],
    created_at timestamptz NOT NULL,
    sent_at timestamptz,
    delivered_at timestamptz,
    flags smallint NOT NULL DEFAULT 3,
    links int NOT NULL DEFAULT 0,
    domain text,
    recipient_ref text NOT NULL DEFAULT '',
    to_digest bytea,
    PRIMARY KEY (workspace, id)
) PARTITION BY RANGE (id);
CREATE INDEX message_addressee ON message (hashtextextended(COALESCE(to_hash, encode(to_digest, 'hex')), (workspace)::bigint), created_at);
CREATE INDEX message_created_at ON message (workspace, created_at, id DESC);
CREATE INDEX message_named ON message (hashtextextended(NULLIF(provider_message, ''), (workspace)::bigint));
CREATE INDEX message_provisional ON message (workspace, provider, provider_message) WHERE (((flags)::int & 4) <> 0);
CREATE INDEX message_subject ON message (hashtextextended(subject, (workspace)::bigint));
CREATE TRIGGER subjects_noted AFTER INSERT ON message EXECUTE FUNCTION postmeter_note_subjects();

-- First counted open, click, reply, unsubscribe of each message (events.Engagement). was: the time that the
-- row held before, where an earlier event arrived after a later one.
-- at: infinity: of its clicks, none is a person's
CREATE TABLE engagement (
    workspace int NOT NULL,
    message uuid NOT NULL,
    kind smallint NOT NULL,
    at timestamptz NOT NULL,
    was timestamptz,
    series bigint NOT NULL,
    PRIMARY KEY (workspace, message, kind)
) PARTITION BY RANGE (message);

-- History. type, bounce, verdict are the numbers of postmeter.shared.stream.events; at is the bucket's time,
-- claimed_at the sender's own where it was out of range; ip is truncated to /24 or /48.
-- (0002) History by time, for exports. Events come nearly in the order of time, so that this costs writers next to nothing.
-- (0007) counted: false for an open or click that the other side's tracking counts. source: the webhook's that told of it.
-- (0020) Slim history (ADR 0051). What an ordinary open needs: when, whose, what, and numbers for what others said before it.
-- link: the URL's, user_agent_id: the user agent's; network: the first 24 bits of an IPv4 address. Where the text itself
-- stands in url, user_agent or ip, it counts: rows of before, and what is beyond the bound of a workspace's texts.
-- verdict: in its two lowest bits; above them the number of its reason (postmeter.shared.storage.verdict_reasons), unless that
-- stands in verdict_reason. Null: received_at is at; counted is true.
-- (0021) The history of a message by its place and time (ADR 0051): 20 bytes an entry instead of 44. Built before this, month by
-- month (index_builds.py).
CREATE TABLE event (
    workspace int NOT NULL,
    message uuid,
    at timestamptz NOT NULL,
    received_at timestamptz,
    type smallint NOT NULL,
    series bigint NOT NULL,
    bounce smallint,
    verdict smallint,
    verdict_reason text,
    reason text,
    url text,
    user_agent text,
    ip text,
    claimed_at timestamptz,
    counted boolean,
    source text,
    link bigint,
    user_agent_id int,
    network int
) PARTITION BY RANGE (at);
CREATE INDEX event_at ON event USING brin (at) WITH (pages_per_range='32');
CREATE INDEX event_place ON event (postmeter_place(workspace, message), postmeter_second(at));

-- Activity rollups, the same columns in each tier: postmeter.shared.storage.rollups.COUNTERS.
-- (0028) Opens and clicks (of people and proxies) of which nobody can tell whose they were, and delivered messages whose opens can
-- be seen one by one.
-- (0044) Rows are looked up by their series; what all series did at a time, without their sum, by the other one (ADR 0068).
CREATE TABLE activity_15m (
    workspace int NOT NULL,
    series bigint NOT NULL,
    bucket timestamptz NOT NULL,
    sent bigint,
    delivered bigint,
    deferred bigint,
    hard_bounced bigint,
    soft_bounced bigint,
    failed bigint,
    complained bigint,
    unsubscribed bigint,
    unique_unsubscribed bigint,
    human_opens bigint,
    proxy_opens bigint,
    machine_opens bigint,
    unique_opens bigint,
    human_clicks bigint,
    machine_clicks bigint,
    unique_clicks bigint,
    replies bigint,
    unique_replies bigint,
    received bigint,
    spam bigint,
    size_bytes bigint,
    anonymous_opens bigint,
    anonymous_clicks bigint,
    trackable bigint
) PARTITION BY RANGE (bucket);
CREATE INDEX activity_15m_bucket ON activity_15m (workspace, bucket) WHERE (series > 0);
CREATE UNIQUE INDEX activity_15m_key ON activity_15m (workspace, series, bucket);

-- (0028) Opens and clicks (of people and proxies) of which nobody can tell whose they were, and delivered messages whose opens can
-- be seen one by one.
CREATE TABLE activity_1h (LIKE activity_15m) PARTITION BY RANGE (bucket);
CREATE INDEX activity_1h_bucket ON activity_1h (workspace, bucket) WHERE (series > 0);
CREATE UNIQUE INDEX activity_1h_key ON activity_1h (workspace, series, bucket);

-- (0028) Opens and clicks (of people and proxies) of which nobody can tell whose they were, and delivered messages whose opens can
-- be seen one by one.
CREATE TABLE activity_1d (LIKE activity_15m) PARTITION BY RANGE (bucket);
CREATE INDEX activity_1d_bucket ON activity_1d (workspace, bucket) WHERE (series > 0);
CREATE UNIQUE INDEX activity_1d_key ON activity_1d (workspace, series, bucket);
CREATE TRIGGER day_changed_by_delete AFTER DELETE ON activity_1d EXECUTE FUNCTION postmeter_day_changed();
CREATE TRIGGER day_changed_by_insert AFTER INSERT ON activity_1d EXECUTE FUNCTION postmeter_day_changed();
CREATE TRIGGER day_changed_by_update AFTER UPDATE ON activity_1d EXECUTE FUNCTION postmeter_day_changed();

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
    shard int NOT NULL,
    position text NOT NULL DEFAULT '0-0',
    epoch bigint NOT NULL DEFAULT 0,
    owner text,
    lease_until timestamptz,
    PRIMARY KEY (shard)
);
CREATE TRIGGER counted AFTER UPDATE OF "position" ON shard WHEN ((old."position" IS DISTINCT FROM new."position")) EXECUTE FUNCTION postmeter_counted();

-- Aggregators that live; the shards are shared out among them.
CREATE TABLE aggregator (
    id text NOT NULL,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (id)
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
-- (0005) How many dead letters a workspace has.
CREATE TABLE dead_letter (
    id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    workspace int,
    shard int NOT NULL,
    batch text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    reason text NOT NULL,
    record bytea NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX dead_letter_at ON dead_letter (at);
CREATE INDEX dead_letter_workspace ON dead_letter (workspace);

-- Events whose message is not known yet; they count when it comes.
-- (0012) Events that name only an address (ADR 0030). to_hash: whose; look_at: when to look for the message that fits, null for
-- all others, which name one.
CREATE TABLE waiting (
    id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    workspace int NOT NULL,
    message uuid,
    provider text NOT NULL DEFAULT '',
    provider_message text NOT NULL DEFAULT '',
    since timestamptz NOT NULL DEFAULT now(),
    record bytea NOT NULL,
    to_hash text NOT NULL DEFAULT '',
    look_at timestamptz,
    PRIMARY KEY (id)
);
CREATE INDEX waiting_look_at ON waiting (look_at) WHERE (look_at IS NOT NULL);
CREATE INDEX waiting_message ON waiting (workspace, message) WHERE (message IS NOT NULL);
CREATE INDEX waiting_provider_message ON waiting (workspace, provider, provider_message) WHERE (message IS NULL);
CREATE INDEX waiting_since ON waiting (since);

-- (0002) Messages by the time of their creation under their present state: postmeter.shared.storage.rollups.CREATED.
CREATE TABLE cohort_created_1s (
    workspace int NOT NULL,
    series bigint NOT NULL,
    bucket timestamptz NOT NULL,
    queued bigint,
    sending bigint,
    sent bigint,
    soft_bounced bigint,
    delivered bigint,
    failed bigint,
    hard_bounced bigint,
    complained bigint,
    PRIMARY KEY (workspace, bucket, series)
) PARTITION BY RANGE (bucket);

CREATE TABLE cohort_created_15m (
    workspace int NOT NULL,
    series bigint NOT NULL,
    bucket timestamptz NOT NULL,
    queued bigint,
    sending bigint,
    sent bigint,
    soft_bounced bigint,
    delivered bigint,
    failed bigint,
    hard_bounced bigint,
    complained bigint
) PARTITION BY RANGE (bucket);
CREATE INDEX cohort_created_15m_bucket ON cohort_created_15m (workspace, bucket) WHERE (series > 0);
CREATE UNIQUE INDEX cohort_created_15m_key ON cohort_created_15m (workspace, series, bucket);

CREATE TABLE cohort_created_1d (LIKE cohort_created_15m) PARTITION BY RANGE (bucket);
CREATE INDEX cohort_created_1d_bucket ON cohort_created_1d (workspace, bucket) WHERE (series > 0);
CREATE UNIQUE INDEX cohort_created_1d_key ON cohort_created_1d (workspace, series, bucket);

-- (0002) Sent messages by the time of their sending, and what became of them: postmeter.shared.storage.rollups.SENT.
CREATE TABLE cohort_sent_15m (
    workspace int NOT NULL,
    series bigint NOT NULL,
    bucket timestamptz NOT NULL,
    mailed bigint,
    opened bigint,
    clicked bigint,
    replied bigint
) PARTITION BY RANGE (bucket);
CREATE INDEX cohort_sent_15m_bucket ON cohort_sent_15m (workspace, bucket) WHERE (series > 0);
CREATE UNIQUE INDEX cohort_sent_15m_key ON cohort_sent_15m (workspace, series, bucket);

-- (0002) Links that were clicked, and clicks by link: postmeter.shared.storage.rollups.LINKS. Link 0 is (other). digest: MD5.
CREATE TABLE link (
    workspace int NOT NULL,
    id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    digest bytea NOT NULL,
    url text NOT NULL,
    PRIMARY KEY (workspace, id),
    UNIQUE (workspace, digest)
);
CREATE TRIGGER renamed AFTER UPDATE ON link EXECUTE FUNCTION postmeter_link_renamed();

CREATE TABLE link_activity_15m (
    workspace int NOT NULL,
    series bigint NOT NULL,
    bucket timestamptz NOT NULL,
    link bigint NOT NULL,
    human_clicks bigint,
    machine_clicks bigint
) PARTITION BY RANGE (bucket);
CREATE INDEX link_activity_15m_bucket ON link_activity_15m (workspace, bucket) WHERE (series > 0);
CREATE UNIQUE INDEX link_activity_15m_key ON link_activity_15m (workspace, series, bucket, link);

CREATE TABLE link_activity_1d (LIKE link_activity_15m) PARTITION BY RANGE (bucket);
CREATE INDEX link_activity_1d_bucket ON link_activity_1d (workspace, bucket) WHERE (series > 0);
CREATE UNIQUE INDEX link_activity_1d_key ON link_activity_1d (workspace, series, bucket, link);
CREATE TRIGGER day_changed_by_delete AFTER DELETE ON link_activity_1d EXECUTE FUNCTION postmeter_day_changed();
CREATE TRIGGER day_changed_by_insert AFTER INSERT ON link_activity_1d EXECUTE FUNCTION postmeter_day_changed();
CREATE TRIGGER day_changed_by_update AFTER UPDATE ON link_activity_1d EXECUTE FUNCTION postmeter_day_changed();

-- (0002) Bounces by normalised reason (a closed set: postmeter.aggregator.bounces) and UTC day.
CREATE TABLE bounce_reason_1d (
    workspace int NOT NULL,
    series bigint NOT NULL,
    bucket timestamptz NOT NULL,
    reason text NOT NULL,
    bounced bigint NOT NULL DEFAULT 0
) PARTITION BY RANGE (bucket);
CREATE INDEX bounce_reason_1d_bucket ON bounce_reason_1d (workspace, bucket) WHERE (series > 0);
CREATE UNIQUE INDEX bounce_reason_1d_key ON bounce_reason_1d (workspace, series, bucket, reason);

-- (0002) Exports: durable jobs. parameters: the order as JSON; domains: those of the key that ordered it, null for all.
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
CREATE INDEX export_files ON export (expires_at) WHERE (removed_at IS NULL);
CREATE INDEX export_open ON export (workspace, created_at) WHERE (status = 'processing');
CREATE INDEX export_removed ON export (removed_at) WHERE (removed_at IS NOT NULL);
CREATE INDEX export_taken ON export (workspace, taken_at) WHERE (taken_at IS NOT NULL);

-- (0002) IPs that a workspace sends from, and in which DNSBL zones each was listed when it was looked up last.
-- attempted_at: the last look-up; checked_at: the last one that at least one zone answered.
CREATE TABLE sending_ip (
    workspace int NOT NULL,
    ip inet NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    attempted_at timestamptz,
    checked_at timestamptz,
    listed_in text[] NOT NULL DEFAULT '{}'[],
    PRIMARY KEY (workspace, ip)
);
CREATE INDEX sending_ip_due ON sending_ip (attempted_at NULLS FIRST);
CREATE TRIGGER changed_by_delete AFTER DELETE ON sending_ip EXECUTE FUNCTION postmeter_changed();
CREATE TRIGGER changed_by_insert AFTER INSERT ON sending_ip EXECUTE FUNCTION postmeter_changed();
CREATE TRIGGER changed_by_update AFTER UPDATE ON sending_ip EXECUTE FUNCTION postmeter_changed();

-- (0004) Webhooks of email providers. secret: encrypted (postmeter.shared.storage.sources). options: JSON texts by name, such as
-- the SNS topics of SES. engagement: whose opens and clicks count where mail carries our pixel: own, provider.
CREATE TABLE webhook_source (
    id text NOT NULL,
    workspace int NOT NULL,
    provider text NOT NULL,
    name text NOT NULL,
    secret text NOT NULL,
    options text NOT NULL DEFAULT '{}',
    engagement text NOT NULL DEFAULT 'own',
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz,
    PRIMARY KEY (id),
    FOREIGN KEY (workspace) REFERENCES workspace(number)
);
CREATE INDEX webhook_source_workspace ON webhook_source (workspace);

-- (0005) Purchases. id: the event_id of the answer. contact: SHA-256 of the address. stored_at: by the database's clock.
-- resolved_at: when it was attributed; message, series and campaign are those of the click, or null. An id is there
-- once: all repetitions of an order come through one shard.
CREATE TABLE purchase (
    workspace int NOT NULL,
    id text NOT NULL,
    order_id text NOT NULL,
    contact text NOT NULL,
    amount numeric NOT NULL,
    currency text NOT NULL,
    items jsonb NOT NULL,
    digest bytea NOT NULL,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    claimed_at timestamptz,
    stored_at timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz,
    message uuid,
    series bigint,
    campaign text,
    PRIMARY KEY (workspace, id, received_at)
) PARTITION BY RANGE (received_at);
CREATE INDEX purchase_contact ON purchase (workspace, contact, at);
CREATE INDEX purchase_open ON purchase (stored_at) WHERE (resolved_at IS NULL);

-- (0005) Custom events: history only.
CREATE TABLE custom_event (
    workspace int NOT NULL,
    id text NOT NULL,
    name text NOT NULL,
    contact text NOT NULL,
    properties jsonb NOT NULL,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    claimed_at timestamptz
) PARTITION BY RANGE (at);
CREATE INDEX custom_event_contact ON custom_event (workspace, contact, at);

-- (0005) Purchases by currency: postmeter.shared.storage.rollups.CONVERSIONS.
CREATE TABLE conversion_15m (
    workspace int NOT NULL,
    series bigint NOT NULL,
    bucket timestamptz NOT NULL,
    currency text NOT NULL,
    conversions bigint NOT NULL DEFAULT 0,
    revenue numeric NOT NULL DEFAULT 0
) PARTITION BY RANGE (bucket);
CREATE INDEX conversion_15m_bucket ON conversion_15m (workspace, bucket) WHERE (series > 0);
CREATE UNIQUE INDEX conversion_15m_key ON conversion_15m (workspace, series, bucket, currency);
CREATE TRIGGER changed_by_delete AFTER DELETE ON conversion_15m EXECUTE FUNCTION postmeter_changed();
CREATE TRIGGER changed_by_insert AFTER INSERT ON conversion_15m EXECUTE FUNCTION postmeter_changed();
CREATE TRIGGER changed_by_update AFTER UPDATE ON conversion_15m EXECUTE FUNCTION postmeter_changed();

CREATE TABLE conversion_1h (LIKE conversion_15m) PARTITION BY RANGE (bucket);
CREATE INDEX conversion_1h_bucket ON conversion_1h (workspace, bucket) WHERE (series > 0);
CREATE UNIQUE INDEX conversion_1h_key ON conversion_1h (workspace, series, bucket, currency);
CREATE TRIGGER changed_by_delete AFTER DELETE ON conversion_1h EXECUTE FUNCTION postmeter_changed();
CREATE TRIGGER changed_by_insert AFTER INSERT ON conversion_1h EXECUTE FUNCTION postmeter_changed();
CREATE TRIGGER changed_by_update AFTER UPDATE ON conversion_1h EXECUTE FUNCTION postmeter_changed();

CREATE TABLE conversion_1d (LIKE conversion_15m) PARTITION BY RANGE (bucket);
CREATE INDEX conversion_1d_bucket ON conversion_1d (workspace, bucket) WHERE (series > 0);
CREATE UNIQUE INDEX conversion_1d_key ON conversion_1d (workspace, series, bucket, currency);
CREATE TRIGGER changed_by_delete AFTER DELETE ON conversion_1d EXECUTE FUNCTION postmeter_changed();
CREATE TRIGGER changed_by_insert AFTER INSERT ON conversion_1d EXECUTE FUNCTION postmeter_changed();
CREATE TRIGGER changed_by_update AFTER UPDATE ON conversion_1d EXECUTE FUNCTION postmeter_changed();

-- (0007) Unregistered messages that a registration may have missed or has just found. fence: every transaction that may
-- have missed the message has a number below it; null: not looked at yet.
CREATE TABLE unregistered (
    workspace int NOT NULL,
    message uuid NOT NULL,
    fence xid8,
    PRIMARY KEY (workspace, message)
);
CREATE INDEX unregistered_fence ON unregistered (fence NULLS FIRST);

-- (0008) From what on a message's clicks are a machine's: postmeter.shared.storage.thresholds. Workspaces without a row have the
-- defaults. 0 switches a rule off.
CREATE TABLE verdict_setting (
    workspace int NOT NULL,
    burst_clicks int NOT NULL,
    burst_links int NOT NULL,
    burst_milliseconds int NOT NULL,
    all_links int NOT NULL,
    scan_seconds int NOT NULL,
    early_seconds int NOT NULL,
    PRIMARY KEY (workspace),
    FOREIGN KEY (workspace) REFERENCES workspace(number)
);

-- (0010) Campaigns that have mail of a domain only because a key that is confined to it said so: what such keys called them,
-- and when that mail was sent first. They see this of the campaign; a row goes when somebody else puts mail of
-- the domain into the campaign.
CREATE TABLE confined_campaign (
    workspace int NOT NULL,
    id text NOT NULL,
    domain text NOT NULL,
    name text NOT NULL,
    named_at timestamptz NOT NULL DEFAULT '1970-01-01 00:00:00+00',
    sent_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace, id, domain)
);
CREATE TRIGGER changed_by_delete AFTER DELETE ON confined_campaign EXECUTE FUNCTION postmeter_changed();
CREATE TRIGGER changed_by_insert AFTER INSERT ON confined_campaign EXECUTE FUNCTION postmeter_changed();
CREATE TRIGGER changed_by_update AFTER UPDATE ON confined_campaign EXECUTE FUNCTION postmeter_changed();

-- (0011) From here on services have roles of their own (rights.py) and make partitions by functions: what says that
-- `postmeter migrate` has made these.
CREATE TABLE migration (
    name text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    digest text,
    PRIMARY KEY (name)
);
CREATE TRIGGER counted AFTER INSERT ON migration EXECUTE FUNCTION postmeter_counted();

-- (0013) Whether a secret is still the one of before (fingerprints.py, ADR 0037): an HMAC under each, never the secret itself.
CREATE TABLE fingerprint (
    name text NOT NULL,
    value bytea NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name)
);

-- (0015) People of a workspace (ADR 0042). email: lower-cased; the same one may be in several workspaces, each time with a
-- password of its own. domains: as of API keys. password: an argon2id hash; NULL where none was set yet.
CREATE TABLE user_account (
    workspace int NOT NULL,
    id uuid NOT NULL,
    email text NOT NULL,
    role text NOT NULL,
    domains text[],
    password text,
    created_at timestamptz NOT NULL DEFAULT now(),
    signed_in_at timestamptz,
    disabled_at timestamptz,
    PRIMARY KEY (workspace, id),
    FOREIGN KEY (workspace) REFERENCES workspace(number),
    UNIQUE (workspace, email)
);
CREATE INDEX user_account_email ON user_account (email, created_at);

-- (0015) What a person was given once to come in by: purpose is sign-in, invitation or reset. hash: SHA-256 of the token.
CREATE TABLE one_time_link (
    workspace int NOT NULL,
    hash bytea NOT NULL,
    user_account uuid NOT NULL,
    purpose text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (workspace, hash),
    FOREIGN KEY (workspace, user_account) REFERENCES user_account(workspace, id) ON DELETE CASCADE
);
CREATE INDEX one_time_link_user ON one_time_link (workspace, user_account);

-- (0015) Who is signed in: a user, or the holder of an API key. hash: SHA-256 of the cookie's token. seen_at: the last use, to
-- the minute.
-- (0017) A person's own sessions (ADR 0042). id: what a session is called, of which its hash tells nothing. browser, system:
-- what began it, by family alone; NULL where that is not known.
CREATE TABLE session (
    workspace int NOT NULL,
    hash bytea NOT NULL,
    user_account uuid,
    api_key text,
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    browser text,
    system text,
    PRIMARY KEY (workspace, hash),
    CHECK (((user_account IS NULL) <> (api_key IS NULL))),
    FOREIGN KEY (api_key) REFERENCES api_key(id),
    FOREIGN KEY (workspace) REFERENCES workspace(number),
    FOREIGN KEY (workspace, user_account) REFERENCES user_account(workspace, id) ON DELETE CASCADE
);
CREATE INDEX session_of_api_key ON session (workspace, api_key) WHERE (api_key IS NOT NULL);
CREATE INDEX session_of_user ON session (workspace, user_account) WHERE (user_account IS NOT NULL);

-- (0016) Versions of what a workspace's answers are made of (ADR 0046): a workspace's is the sum of its rows and of those of
-- workspace 0, which stand for all. Each transaction that changes anything raises one row, so the sum never comes twice.
-- A slot is a row that one transaction at a time has: who finds none free makes another, and nobody waits.
CREATE TABLE answer_version (
    workspace int NOT NULL,
    slot bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    version bigint NOT NULL,
    PRIMARY KEY (workspace, slot)
) WITH (fillfactor=50);

-- (0019) Who wrote last what is told of the messages of a slot (ADR 0049), and the lock under which it is done. writer: an id
-- that no other process ever had; a writer that finds another's knows that what it remembers of these messages is old.
CREATE TABLE slot (
    slot smallint NOT NULL,
    writer text NOT NULL DEFAULT '',
    PRIMARY KEY (slot)
);

-- (0020) User agents by number. digest: the text's MD5. used_in: the first day of the last month in which something new named it;
-- it is taken out when no history can name it any more.
CREATE TABLE user_agent (
    workspace int NOT NULL,
    id int NOT NULL GENERATED ALWAYS AS IDENTITY,
    used_in date NOT NULL,
    digest bytea NOT NULL,
    text text NOT NULL,
    PRIMARY KEY (workspace, id),
    UNIQUE (workspace, digest)
);

-- (0022) Subjects that messages have (ADR 0053): a search reads these few instead of every message. until: the month in which a
-- message with this subject was registered or dated last; infinite for those whose ids tell no time, which stay.
CREATE TABLE subject (
    workspace int NOT NULL,
    key bigint NOT NULL GENERATED ALWAYS AS (hashtextextended(subject, (workspace)::bigint)) STORED,
    subject text NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (workspace, key)
);

-- (0022) Workspaces that had more subjects than are kept: there a search reads every message.
CREATE TABLE subject_excess (
    workspace int NOT NULL,
    PRIMARY KEY (workspace)
);

-- (0028) What a workspace has said. There is a row as soon as it has said anything, or any of its recipients has chosen: of a
-- workspace without one nobody asks further. months: null: as long as the installation keeps it.
CREATE TABLE privacy_setting (
    workspace int NOT NULL,
    opens smallint NOT NULL DEFAULT 0,
    clicks smallint NOT NULL DEFAULT 0,
    unknown_opens smallint NOT NULL DEFAULT 0,
    unknown_clicks smallint NOT NULL DEFAULT 0,
    denied_opens smallint NOT NULL DEFAULT 4,
    denied_clicks smallint NOT NULL DEFAULT 4,
    history_months int,
    messages_months int,
    contacts_months int,
    consent_months int,
    PRIMARY KEY (workspace)
);

-- (0028) Ceilings of sending domains.
CREATE TABLE privacy_domain (
    workspace int NOT NULL,
    domain text NOT NULL,
    opens smallint NOT NULL,
    clicks smallint NOT NULL,
    PRIMARY KEY (workspace, domain)
);

-- (0028) What recipients have chosen, as it is now. opens_at, clicks_at: when that was chosen; the latest choice holds, whichever
-- arrives last. changed_at: when this row changed.
-- (0029) When the messages of a recipient whose choice has changed are to be looked at again, for those that were registered at
-- the same moment, or were too many to be lowered with it (ADR 0059, point 3). Null: all are as he has chosen.
-- (0030) Choices whose messages are to be looked at; few at any time.
CREATE TABLE recipient_choice (
    workspace int NOT NULL,
    to_hash text NOT NULL,
    opens smallint NOT NULL DEFAULT 0,
    clicks smallint NOT NULL DEFAULT 0,
    opens_at timestamptz,
    clicks_at timestamptz,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    look_at timestamptz,
    PRIMARY KEY (workspace, to_hash)
);
CREATE INDEX recipient_choice_changed ON recipient_choice (changed_at);
CREATE INDEX recipient_choice_look_at ON recipient_choice (look_at) WHERE (look_at IS NOT NULL);

-- (0028) The proof: every choice as it was told, never changed. Null: nothing was said of that. recorded_by: the key or user
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

-- (0028) What tokens name that are the same for all recipients: a campaign, or all mail without one of a sending domain. A
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

-- (0028) Level last_date: the day of a recipient's last open, and nothing else of it.
CREATE TABLE last_open (
    workspace int NOT NULL,
    to_hash text NOT NULL,
    day date NOT NULL,
    PRIMARY KEY (workspace, to_hash)
);

-- (0028) Erasures: jobs, and afterwards their proof. to_hash: whose; null once it is done. removed: rows by table.
-- (0031) Erasure (ADR 0060). step: postmeter.aggregator.upkeep.erasure.job.Step, what is done next. fence: what every transaction
-- that may have missed the step before has a number below.
CREATE TABLE erasure (
    workspace int NOT NULL,
    id uuid NOT NULL,
    to_hash text,
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    removed jsonb NOT NULL DEFAULT '{}',
    completed_at timestamptz,
    step smallint NOT NULL DEFAULT 0,
    fence xid8,
    PRIMARY KEY (workspace, id)
);
CREATE INDEX erasure_open ON erasure (requested_at) WHERE (completed_at IS NULL);

-- (0028) What was erased, as digests that say nothing to who does not have the thing itself: recipients (what was told of one
-- before `at` and comes late makes nothing anew), and messages by their providers' names.
-- (0031) message: the nameless message that a provider still tells of by this name; null: a recipient.
CREATE TABLE erased (
    workspace int NOT NULL,
    digest bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    message uuid,
    PRIMARY KEY (workspace, digest)
);
CREATE INDEX erased_at ON erased (at);

-- (0028) Who changed what. actor: `key:ID`, `user:ID`, `command` (of the host) or `recipient`.
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

-- (0031) Messages that an erasure has made nameless and is to look at once more, when nobody can be adding to them any longer.
CREATE TABLE erasure_message (
    workspace int NOT NULL,
    erasure uuid NOT NULL,
    message uuid NOT NULL,
    PRIMARY KEY (workspace, erasure, message)
);

-- (0031) Counted clicks of links whose history was erased: where these are all clicks of a link, its URL is nobody else's. due:
-- there are more than when it was looked at.
CREATE TABLE erased_clicks (
    workspace int NOT NULL,
    link bigint NOT NULL,
    clicks bigint NOT NULL,
    due boolean NOT NULL,
    PRIMARY KEY (workspace, link)
);
CREATE INDEX erased_clicks_due ON erased_clicks (workspace, link) WHERE due;

-- (0032) Retention of workspaces (ADR 0060): up to when rows of a kind are removed where a workspace keeps them for less time than
-- the installation does. Rows of before that come later are found when the next month is due.
CREATE TABLE retention_done (
    workspace int NOT NULL,
    kind text NOT NULL,
    until date NOT NULL,
    PRIMARY KEY (workspace, kind)
);

-- (0035) Activity summed up by one dimension (ADR 0063), for days that do not change any more: a question by template reads a row
-- for each template and day, not one for each series. dimension: the place of postmeter.shared.storage.rollups.SUMMED_BY, from
-- 1 on. Only rows of days that activity_day calls summed are good. Counters: null stands for 0.
CREATE TABLE activity_by_1h (
    workspace int NOT NULL,
    dimension smallint NOT NULL,
    bucket timestamptz NOT NULL,
    value text NOT NULL,
    sent bigint,
    delivered bigint,
    deferred bigint,
    hard_bounced bigint,
    soft_bounced bigint,
    failed bigint,
    complained bigint,
    unsubscribed bigint,
    unique_unsubscribed bigint,
    human_opens bigint,
    proxy_opens bigint,
    machine_opens bigint,
    unique_opens bigint,
    human_clicks bigint,
    machine_clicks bigint,
    unique_clicks bigint,
    replies bigint,
    unique_replies bigint,
    received bigint,
    spam bigint,
    size_bytes bigint,
    anonymous_opens bigint,
    anonymous_clicks bigint,
    trackable bigint
) PARTITION BY RANGE (bucket);
CREATE INDEX activity_by_1h_bucket ON activity_by_1h (workspace, dimension, bucket);
CREATE UNIQUE INDEX activity_by_1h_key ON activity_by_1h (workspace, dimension, value, bucket);

CREATE TABLE activity_by_1d (LIKE activity_by_1h) PARTITION BY RANGE (bucket);
CREATE INDEX activity_by_1d_bucket ON activity_by_1d (workspace, dimension, bucket);
CREATE UNIQUE INDEX activity_by_1d_key ON activity_by_1d (workspace, dimension, value, bucket);

-- (0035) Clicks by link of all series together; as good as the others.
CREATE TABLE link_activity_by_1d (
    workspace int NOT NULL,
    bucket timestamptz NOT NULL,
    link bigint NOT NULL,
    human_clicks bigint,
    machine_clicks bigint,
    PRIMARY KEY (workspace, bucket, link)
) PARTITION BY RANGE (bucket);

-- (0035) Days (of UTC) in which something happened. state: postmeter.shared.storage.rollups.DayState. due: when to sum it up, where it
-- has changed since.
CREATE TABLE activity_day (
    workspace int NOT NULL,
    day timestamptz NOT NULL,
    state smallint NOT NULL DEFAULT 0,
    due timestamptz NOT NULL,
    PRIMARY KEY (workspace, day)
);
CREATE INDEX activity_day_due ON activity_day (due) WHERE (state < 2);

-- (0020) The history as everybody reads it, whichever shape its rows have.
VIEW history (workspace, message, at, received_at, type, series, bounce, verdict, verdict_reason, reason, url, user_agent, ip, claimed_at, counted, source);

-- (0045) Messages as they are read, whichever shape their rows have. Until 0049 they have only one.
VIEW mail (workspace, id, series, state, campaign, from_address, to_hash, to_domain, subject, provider, provider_account, provider_message, template, tags, created_at, sent_at, delivered_at, flags, links, domain, recipient_ref);

FUNCTION postmeter_changed() RETURNS trigger;

FUNCTION postmeter_check_partition(parent text, partition text) RETURNS void;

FUNCTION postmeter_counted() RETURNS trigger;

FUNCTION postmeter_day_changed() RETURNS trigger;

FUNCTION postmeter_drop_partition(parent text, partition text) RETURNS void;

FUNCTION postmeter_link_renamed() RETURNS trigger;

FUNCTION postmeter_make_partition(parent text, partition text, low text, high text, id text) RETURNS void;

FUNCTION postmeter_note_subjects() RETURNS trigger;

-- (0020) A message's place in the history's index: half as long as the key, and two messages may share it. Who looks for one
-- also says which workspace and message he means.
FUNCTION postmeter_place(workspace int, message uuid) RETURNS int;

FUNCTION postmeter_raise_versions(raised int[]) RETURNS void;

-- (0020) A time to about a second, as long as it stays in order: seconds since 2000.
FUNCTION postmeter_second(at timestamptz) RETURNS int;

-- (0036) What writers store of a counter. Until 0037 that is the number itself, for services of the version before add to it; from then
-- on null stands for 0.
FUNCTION postmeter_sparse(n bigint) RETURNS bigint;

-- (0042) Messages by the second of their creation: in a second hardly more than one is created, so that the sum of all series was every row
-- twice. Who reads seconds adds up series. Whether who writes them writes the sum all the same; until 0043 it does, for services of
-- the version before read it. STABLE, not IMMUTABLE: so it stands in plans as what it says, and they are made anew when it
-- says something else.
FUNCTION postmeter_totals_of_seconds() RETURNS boolean;

FUNCTION postmeter_verdict_reason(verdict smallint) RETURNS text;
