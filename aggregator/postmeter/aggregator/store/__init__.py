"""What Postgres keeps: what a flush reads of it and writes to it."""
