-- Who wrote last what is told of the messages of a slot (ADR 0049), and the lock under which it is done. writer: an id
-- that no other process ever had; a writer that finds another's knows that what it remembers of these messages is old.
CREATE TABLE slot (
    slot smallint PRIMARY KEY,
    writer text NOT NULL DEFAULT ''
);
INSERT INTO slot (slot) SELECT generate_series(0, 255);
