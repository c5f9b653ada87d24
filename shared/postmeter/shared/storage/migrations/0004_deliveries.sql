-- Webhooks of email providers. secret: encrypted (postmeter.shared.storage.sources). options: JSON texts by name, such as
-- the SNS topics of SES. engagement: whose opens and clicks count where mail carries our pixel: own, provider.
CREATE TABLE webhook_source (
    id text PRIMARY KEY,
    workspace int NOT NULL REFERENCES workspace (number),
    provider text NOT NULL,
    name text NOT NULL,
    secret text NOT NULL,
    options text NOT NULL DEFAULT '{}',
    engagement text NOT NULL DEFAULT 'own',
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);
CREATE INDEX webhook_source_workspace ON webhook_source (workspace);
