"""Exports that Workspaces order: durable jobs, each of which writes one file (ADR 0014)."""
