"""Looks sending IPs up in DNS blocklists (ADR 0016)."""
