-- Mailbox provider of the recipients: another dimension of a series. What was mailed before has none.
ALTER TABLE series ADD COLUMN mailbox_provider text NOT NULL DEFAULT '';
ALTER TABLE series ADD UNIQUE (workspace, campaign, domain, provider, template, tags, mailbox_provider);
ALTER TABLE series DROP CONSTRAINT series_workspace_campaign_domain_provider_template_tags_key;
