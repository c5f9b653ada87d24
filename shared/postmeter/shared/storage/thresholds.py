"""When clicks of one message count as a machine's, per workspace (docs/verdicts.md, ADR 0023)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from postmeter.shared.errors import PostmeterError
from postmeter.shared.text.quoting import quoted


class Thresholds(NamedTuple):
    """0 switches a rule off; a workspace that has set nothing has these.

    burst_links: clicks of so many different links of a message, or burst_clicks: so many clicks (by default more than
    an impatient hand, a double click in every tab or a trial comes to), within `burst_milliseconds`. all_links: all
    links of a message that has at least so many, within `scan_seconds` and by one user agent. Clicks within
    `scan_seconds` of a click of the honeypot, or of a HEAD request, by the same user agent belong to the same scan.
    early_seconds: clicks within so many of the message's delivery (off by default: the first click of mail that
    somebody waits for may be that fast, and so are trials).
    """

    burst_clicks: int = 30
    burst_links: int = 4
    burst_milliseconds: int = 1000
    all_links: int = 4
    scan_seconds: int = 10
    early_seconds: int = 0


LEAST = Thresholds(2, 2, 1, 2, 1, 1)
"""The smallest that each may be beside 0: one click alone is never a burst."""
LIMITS = Thresholds(100, 100, 60_000, 1000, 60, 60)
"""The greatest that each may be, so that a click's neighbours are few."""


class ThresholdRefused(PostmeterError):
    """A threshold is not known, or cannot be what it was to be. name: which."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def check(given: Mapping[str, int]) -> None:
    """Raises ThresholdRefused unless a workspace may have these thresholds, by name."""
    for name, value in given.items():
        if name not in Thresholds._fields:
            known = ", ".join(Thresholds._fields)
            raise ThresholdRefused(name, f"there is no threshold {quoted(name)}; there are {known}")
        least, most = getattr(LEAST, name), getattr(LIMITS, name)
        if value != 0 and not least <= value <= most:
            raise ThresholdRefused(name, f"{name} takes {least} to {most}, or 0 to switch the rule off")
