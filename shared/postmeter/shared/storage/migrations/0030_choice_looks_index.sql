-- Choices whose messages are to be looked at; few at any time.
CREATE INDEX IF NOT EXISTS recipient_choice_look_at ON recipient_choice (look_at) WHERE look_at IS NOT NULL;
