-- Erasure (ADR 0060). step: postmeter.aggregator.upkeep.erasure.job.Step, what is done next. fence: what every transaction
-- that may have missed the step before has a number below.
ALTER TABLE erasure ADD COLUMN step smallint NOT NULL DEFAULT 0, ADD COLUMN fence xid8;

-- message: the nameless message that a provider still tells of by this name; null: a recipient.
ALTER TABLE erased ADD COLUMN message uuid;

-- Messages that an erasure has made nameless and is to look at once more, when nobody can be adding to them any longer.
CREATE TABLE erasure_message (
    workspace int NOT NULL,
    erasure uuid NOT NULL,
    message uuid NOT NULL,
    PRIMARY KEY (workspace, erasure, message)
);

-- Counted clicks of links whose history was erased: where these are all clicks of a link, its URL is nobody else's. due:
-- there are more than when it was looked at.
CREATE TABLE erased_clicks (
    workspace int NOT NULL,
    link bigint NOT NULL,
    clicks bigint NOT NULL,
    due boolean NOT NULL,
    PRIMARY KEY (workspace, link)
);
CREATE INDEX erased_clicks_due ON erased_clicks (workspace, link) WHERE due;
