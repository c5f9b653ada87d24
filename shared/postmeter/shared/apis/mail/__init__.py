"""What is reported of mail: messages, events, webhooks, unsubscriptions."""
