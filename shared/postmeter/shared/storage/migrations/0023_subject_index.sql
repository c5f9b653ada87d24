-- Messages by their subject (ADR 0053); their subjects are all noted by now (index_builds.py). The workspace is in the hash and
-- not a column of its own: statements that look for messages by their ids would be planned to walk through a whole workspace
-- by this index while a month has few.
CREATE INDEX message_subject ON message (hashtextextended(subject, workspace));
