"""Erasure of a recipient: what identifies them goes, numbers stay (ADR 0060)."""
