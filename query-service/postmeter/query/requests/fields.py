"""Errors of single fields, each a 400 that names the field."""

from __future__ import annotations

from postmeter.shared.errors import RequestError
from postmeter.shared.text import quoting


def invalid(field: str, message: str) -> RequestError:
    """The error of a field."""
    return RequestError(400, "INVALID_FIELD", f"{field}: {message}", field)


def check_names(field: str, names: list[str], known: tuple[str, ...]) -> None:
    """Raises RequestError 400 for a name that is unknown or given twice."""
    for name in names:
        if name not in known:
            raise invalid(field, f"{quoting.quoted(name)} is unknown; known are {', '.join(known)}")
        if names.count(name) > 1:
            raise invalid(field, f"{name} is named twice")
