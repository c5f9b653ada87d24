"""Who may sign in, and keys."""
