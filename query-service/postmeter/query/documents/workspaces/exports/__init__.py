"""Workspaces' exports: durable jobs that write files in six formats (ADR 0014)."""
