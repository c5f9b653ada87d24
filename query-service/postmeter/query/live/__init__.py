"""Server-sent events: live counters and events of a workspace (ADR 0041)."""
