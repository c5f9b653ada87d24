-- flags of a message: 1: it carries our pixel, 2: it carries our links, 4: nobody has registered it, a provider's
-- webhook told of it (ADR 0020). What was registered before carries both.
ALTER TABLE message ADD COLUMN flags smallint NOT NULL DEFAULT 3;
CREATE INDEX message_provisional ON message (workspace, provider, provider_message) WHERE flags & 4 <> 0;

-- counted: false for an open or click that the other side's tracking counts. source: the webhook's that told of it.
ALTER TABLE event ADD COLUMN counted boolean NOT NULL DEFAULT true, ADD COLUMN source text;

-- Unregistered messages that a registration may have missed or has just found. fence: every transaction that may
-- have missed the message has a number below it; null: not looked at yet.
CREATE TABLE unregistered (
    workspace int NOT NULL,
    message uuid NOT NULL,
    fence xid8,
    PRIMARY KEY (workspace, message)
);
CREATE INDEX unregistered_fence ON unregistered (fence NULLS FIRST);
