"""Workspaces, and what each decides: sending IPs, thresholds of verdicts, privacy, erasures."""
