"""Where the lists of POST /v1/recipients/export begin: before a time, or where the page before has ended.

That is told by time and id, so that a second in which more happened than a page holds is told whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from postmeter.query.requests import times
from postmeter.shared.http.fields import invalid

_LATEST = datetime.max.replace(tzinfo=UTC) - timedelta(days=400)
_MOMENT = "%Y-%m-%dT%H:%M:%S.%fZ"
_INT8 = 2**63


@dataclass(frozen=True)
class Beginning:
    """What comes before `at`, or is of `at` and comes behind the one with that id."""

    at: datetime = _LATEST
    id: Any = None


@dataclass(frozen=True)
class Pages:
    """Of one list. field: of the body. column: of its rows, what they are ordered by, the latest first."""

    field: str
    column: str
    _read: Callable[[str], Any]

    def beginning(self, text: str) -> Beginning:
        """Where the page begins. Raises FieldRefused."""
        at, is_end, last = text.partition("/")
        if not is_end:
            return Beginning(times.instant(text, self.field, UTC, last=False))
        try:
            return Beginning(datetime.strptime(at, _MOMENT).replace(tzinfo=UTC), self._read(last))
        except ValueError:
            raise invalid(self.field, "takes a time, or what `next` says for it") from None

    def end(self, row: asyncpg.Record) -> str:
        """Where a page has ended whose last row this is; the next one begins there."""
        return f"{row[self.column].astimezone(UTC).strftime(_MOMENT)}/{row['id']}"


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text[:20]) < _INT8):
        raise ValueError("not a number of ours")
    return int(text[:20])


def _text(text: str) -> str:
    if "\0" in text:
        raise ValueError("not a text of ours")
    return text


LISTS = {
    "messages": Pages("before", "created_at", UUID),
    "consent": Pages("consent_before", "recorded_at", _number),
    "purchases": Pages("purchases_before", "at", _text),
    "custom_events": Pages("custom_events_before", "at", _text),
    "waiting": Pages("waiting_before", "since", _number),
    "put_aside": Pages("put_aside_before", "at", _number),
}
"""By their names, in the order of `counts`."""
