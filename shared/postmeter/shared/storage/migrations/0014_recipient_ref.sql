-- What the sender itself calls the recipient: opaque to us, kept as it was given; '' where it was not.
ALTER TABLE message ADD COLUMN recipient_ref text NOT NULL DEFAULT '';
