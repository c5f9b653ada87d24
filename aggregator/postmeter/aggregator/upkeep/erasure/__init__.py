"""Erasure of a recipient: what identifies him goes, numbers stay (ADR 0060)."""
