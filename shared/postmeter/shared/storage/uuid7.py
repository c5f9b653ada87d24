"""UUIDv7 (RFC 9562 section 5.7): ids that sort by their time of creation."""

from __future__ import annotations

import os
import time
import uuid


def new(at_ms: int | None = None) -> uuid.UUID:
    """A fresh UUIDv7 of the present moment, or of `at_ms` (milliseconds since 1970)."""
    moment = time.time_ns() // 1_000_000 if at_ms is None else at_ms
    noise = int.from_bytes(os.urandom(10), "big")
    value = (moment & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | (noise >> 68) << 64
    return uuid.UUID(int=value | 0b10 << 62 | noise & 0x3FFF_FFFF_FFFF_FFFF)


def floor(at_ms: int) -> uuid.UUID:
    """The smallest value that a UUIDv7 of `at_ms` or later can have; a partition's bound."""
    return uuid.UUID(int=(at_ms & 0xFFFF_FFFF_FFFF) << 80)
