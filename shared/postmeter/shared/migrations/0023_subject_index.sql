-- Messages by their subject (ADR 0053); their subjects are all noted by now (index_builds.py).
CREATE INDEX message_subject ON message (workspace, hashtextextended(subject, 0));
