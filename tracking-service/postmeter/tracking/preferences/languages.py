"""In which language a reader is answered."""

from __future__ import annotations

from collections.abc import Collection

_MOST = 20
"""Languages of a header that are looked at."""


def wanted(header: str, known: Collection[str], default: str) -> str:
    """The first of the known languages by Accept-Language (RFC 9110, 12.5.4), the most wanted first."""
    offers: list[tuple[float, int, str]] = []
    for place, part in enumerate(header.split(",")[:_MOST]):
        name, *parameters = part.strip().lower().split(";")
        language = name.strip().partition("-")[0]
        if language in known and (quality := _quality(parameters)) > 0:
            offers.append((-quality, place, language))
    return min(offers)[2] if offers else default


def _quality(parameters: list[str]) -> float:
    for one in parameters:
        name, _, value = one.strip().partition("=")
        if name == "q":
            return float(value) if len(value) <= 5 and value.replace(".", "", 1).isdigit() and value.isascii() else 0.0
    return 1.0
