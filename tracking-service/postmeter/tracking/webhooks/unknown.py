"""Events of types that we have no name for: kept as history under the provider's own word, whatever else they hold."""

from __future__ import annotations

from collections.abc import Container

import msgspec

from postmeter.shared.events import EventType
from postmeter.tracking.webhooks.reading import Reading


class _Named(msgspec.Struct):
    """What an event may be named by; the rest is looked at and not kept."""

    event: msgspec.Raw = msgspec.Raw(b"null")
    type: msgspec.Raw = msgspec.Raw(b"null")


_decoder = msgspec.json.Decoder(_Named)
_text_decoder = msgspec.json.Decoder(str)


def of(item: bytes, field: str, types: Container[str], error: msgspec.ValidationError) -> list[Reading]:
    """The reading of an item that does not have the form of the types that we know, told by its `field`.

    Raises `error` again for one of `types`, which must have that form, and for an item that names none.
    """
    try:
        name = _text_decoder.decode(getattr(_decoder.decode(item), field))
    except msgspec.ValidationError:
        raise error from None
    if not name or name in types:
        raise error
    return [Reading(type=EventType.UNKNOWN, name=name)]
