"""The one form in which domain names are stored and compared."""

from __future__ import annotations

import re

import idna

_PLAIN = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", re.ASCII)
LIMIT = 255


def normal(name: str) -> str:
    """A domain name in lower case, beyond ASCII as punycode, without a dot at its end. Raises ValueError."""
    name = name.strip().rstrip(".").lower()
    # Underscores are in real names and not in IDNA, hence the first case.
    try:
        normalised = name if _PLAIN.fullmatch(name) else idna.encode(name, uts46=True).decode()
    except UnicodeError:
        raise ValueError("not a domain name") from None
    if len(normalised) > LIMIT:
        raise ValueError("not a domain name")
    return normalised
