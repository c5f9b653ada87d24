-- links of a message: how many different destinations its tracked links have; 0: not known.
ALTER TABLE message ADD COLUMN links int NOT NULL DEFAULT 0;

-- From what on a message's clicks are a machine's: postmeter.shared.storage.thresholds. Workspaces without a row have the
-- defaults. 0 switches a rule off.
CREATE TABLE verdict_setting (
    workspace int PRIMARY KEY REFERENCES workspace (number),
    burst_clicks int NOT NULL,
    burst_links int NOT NULL,
    burst_milliseconds int NOT NULL,
    all_links int NOT NULL,
    scan_seconds int NOT NULL,
    early_seconds int NOT NULL
);

-- at of a first click is infinite where machines only have clicked, so far as is known (ADR 0023).
COMMENT ON COLUMN engagement.at IS 'infinity: of its clicks, none is a person''s';
