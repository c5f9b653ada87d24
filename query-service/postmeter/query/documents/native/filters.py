"""Filters of the native queries: dimensions to values, in the form that values are stored in."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from postmeter.query.engine.vocabulary import DIMENSIONS
from postmeter.shared.http import json_bodies
from postmeter.shared.http.fields import check_names, invalid
from postmeter.shared.storage.rollups import OTHER
from postmeter.shared.text import domains

_texts = msgspec.json.Decoder(list[str])
MAX_VALUES = 1_000
Filters = dict[str, tuple[str, ...]]
"""Dimension to the values that it may have."""


def read(given: dict[str, msgspec.Raw], known: tuple[str, ...] = tuple(DIMENSIONS)) -> Filters:
    """The values of each dimension, of those `known`, as stored. Raises FieldRefused."""
    check_names("filters", list(given), known)
    return {name: _values(name, raw) for name, raw in given.items()}


def _values(name: str, raw: msgspec.Raw) -> tuple[str, ...]:
    values = json_bodies.decode(_texts, raw, f"filters.{name}")
    if not 1 <= len(values) <= MAX_VALUES or any("\0" in value for value in values):
        raise invalid(f"filters.{name}", f"takes 1 to {MAX_VALUES} values, none with a NUL")
    stored = _STORED.get(name, str)
    return tuple(value if value == OTHER else stored(value) for value in values)


def _domain(value: str) -> str:
    try:
        return domains.normal(value)
    except ValueError:
        # No domain has such a name, so that it matches nothing; "" are the messages without one.
        return value


def _upper(value: str) -> str:
    return value.strip().upper()


def _mailbox_provider(value: str) -> str:
    return value.strip().lower()


_STORED: dict[str, Callable[[str], str]] = {
    "domain": _domain,
    "provider": _upper,
    "currency": _upper,
    "mailbox_provider": _mailbox_provider,
}
"""How values of a dimension are stored, where not as they were sent."""
