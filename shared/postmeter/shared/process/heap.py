"""The C library's heap, kept from growing into pieces that are never given back (ADR 0084)."""

from __future__ import annotations

import ctypes

LARGE = 256 << 10
"""Bytes from which each allocation is the system's own, and given back to it as soon as it is freed."""
KEPT = 1 << 20
"""Free bytes at the heap's end that are kept."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h


def settle() -> None:
    """Fix the size of what is large. Without effect where the C library is not glibc.

    glibc lets it rise to that of the largest piece that was freed, up to 32 MB. Then bodies and batches of megabytes
    lie in the heap, small things come to lie between them, and what they leave is too small for the next.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(_MMAP_THRESHOLD, LARGE)
    mallopt(_TRIM_THRESHOLD, KEPT)
