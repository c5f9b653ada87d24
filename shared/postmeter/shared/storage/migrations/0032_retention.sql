-- Retention of workspaces (ADR 0060): up to when rows of a kind are removed where a workspace keeps them for less time than
-- the installation does. Rows of before that come later are found when the next month is due.
CREATE TABLE retention_done (
    workspace int NOT NULL,
    kind text NOT NULL,
    until date NOT NULL,
    PRIMARY KEY (workspace, kind)
);
