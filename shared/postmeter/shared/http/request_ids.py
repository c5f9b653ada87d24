"""Request ids: taken over from the caller where they are harmless, made here otherwise."""

from __future__ import annotations

import re
import secrets

HEADER = "X-Request-Id"
_SANE = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)


def new() -> str:
    """A fresh id."""
    return secrets.token_hex(12)


def of(given: str | None) -> str:
    """The caller's own id if it can go into logs and headers as it is, else a fresh one."""
    return given if given and _SANE.fullmatch(given) else new()
