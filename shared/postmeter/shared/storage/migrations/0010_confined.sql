-- flags of a message: 8: a key that is confined to domains registered it. domain: of its sender, where what a provider
-- tells decides whose message it is: of messages with that flag, and of those that only a webhook told of (null: it
-- did not say). ADR 0035.
ALTER TABLE message ADD COLUMN domain text;

-- Campaigns that have mail of a domain only because a key that is confined to it said so: what such keys called them,
-- and when that mail was sent first. They see this of the campaign; a row goes when somebody else puts mail of
-- the domain into the campaign.
CREATE TABLE confined_campaign (
    workspace int NOT NULL,
    id text NOT NULL,
    domain text NOT NULL,
    name text NOT NULL,
    named_at timestamptz NOT NULL DEFAULT 'epoch',
    sent_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace, id, domain)
);
