"""Our own Postgres and Redis: where their binaries are, whose processes they are, how they start and stop."""
