"""Moments as the APIs show them."""

from __future__ import annotations

from datetime import datetime


def stamp(at: datetime) -> str:
    """RFC 3339, to the second: `2026-04-03T12:00:00Z`, or with the offset of another zone than UTC."""
    text = at.isoformat(timespec="seconds")
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text
