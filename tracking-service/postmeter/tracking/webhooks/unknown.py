"""Events of types that we have no name for: kept as history under the provider's own word, whatever else they hold."""

from __future__ import annotations

from collections.abc import Container

import msgspec

from postmeter.shared.events import EventType
from postmeter.tracking.webhooks.reading import Reading


def of(item: bytes, field: str, types: Container[str], error: msgspec.ValidationError) -> list[Reading]:
    """The reading of an item that does not have the form of the types that we know, told by its `field`.

    Raises `error` again for one of `types`, which must have that form, and for an item that names none.
    """
    named = msgspec.json.decode(item)
    name = named.get(field) if isinstance(named, dict) else None
    if not isinstance(name, str) or not name or name in types:
        raise error
    return [Reading(type=EventType.UNKNOWN, name=name)]
