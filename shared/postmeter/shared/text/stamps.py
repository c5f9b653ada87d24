"""Moments as the API shows them."""

from __future__ import annotations

from datetime import UTC, datetime


def stamp(at: datetime) -> str:
    """RFC 3339, in UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
