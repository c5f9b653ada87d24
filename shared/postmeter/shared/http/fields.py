"""Errors of single fields, of bodies and of queries alike."""

from __future__ import annotations

from collections.abc import Iterable

from postmeter.shared.errors import FieldRefused
from postmeter.shared.text import quoting


def invalid(field: str, message: str) -> FieldRefused:
    """The error of a field: its name, then what would be right."""
    return FieldRefused(f"{field}: {message}", field)


def check_names(field: str, names: list[str], known: Iterable[str]) -> None:
    """Raises FieldRefused for a name that is unknown or given twice."""
    for name in names:
        if name not in known:
            raise invalid(field, f"{quoting.quoted(name)} is unknown; known are {', '.join(known)}")
        if names.count(name) > 1:
            raise invalid(field, f"{name} is named twice")
