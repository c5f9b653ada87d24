-- When the messages of a recipient whose choice has changed are to be looked at again, for those that were registered at
-- the same moment, or were too many to be lowered with it (ADR 0059, point 3). Null: all are as he has chosen.
ALTER TABLE recipient_choice ADD COLUMN look_at timestamptz;
