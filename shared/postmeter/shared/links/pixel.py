"""The tracking pixel, and the mark of an answer that stands for no recorded hit."""

from __future__ import annotations

GIF = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
"""A transparent image of one pixel in 43 bytes; the smallest PNG has 67."""

HEADERS = {
    "Content-Type": "image/gif",
    "Cache-Control": "no-store, no-cache, must-revalidate, private, max-age=0",
    "Pragma": "no-cache",
    "Expires": "Thu, 01 Jan 1970 00:00:00 GMT",
}
"""What makes every open a request of its own."""

DROPPED = "Postmeter-Dropped"
"""Header of an answered pixel or redirect whose hit is in no statistics; its value is the reason."""
