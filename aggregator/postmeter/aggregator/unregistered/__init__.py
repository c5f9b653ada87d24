"""Mail that nobody registered, or not yet: events that wait, messages made from webhooks, and their take-over."""
