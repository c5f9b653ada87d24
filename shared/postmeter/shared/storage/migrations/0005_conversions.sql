-- A contact's messages, to find its clicks.
CREATE INDEX message_contact ON message (to_hash, workspace);

-- Purchases. id: the event_id of the answer. contact: SHA-256 of the address. stored_at: by the database's clock.
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
CREATE INDEX purchase_open ON purchase (stored_at) WHERE resolved_at IS NULL;
CREATE INDEX purchase_contact ON purchase (workspace, contact, at);

-- Custom events: history only.
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

-- Purchases by currency: postmeter.shared.storage.rollups.CONVERSIONS.
CREATE TABLE conversion_15m (
    workspace int NOT NULL,
    series bigint NOT NULL,
    bucket timestamptz NOT NULL,
    currency text NOT NULL,
    conversions bigint NOT NULL DEFAULT 0,
    revenue numeric NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace, bucket, series, currency)
) PARTITION BY RANGE (bucket);
CREATE INDEX conversion_15m_series ON conversion_15m (workspace, series, bucket);
CREATE TABLE conversion_1h (LIKE conversion_15m INCLUDING ALL) PARTITION BY RANGE (bucket);
CREATE TABLE conversion_1d (LIKE conversion_15m INCLUDING ALL) PARTITION BY RANGE (bucket);

-- How many dead letters a workspace has.
CREATE INDEX dead_letter_workspace ON dead_letter (workspace);
