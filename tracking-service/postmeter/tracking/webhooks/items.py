"""The items of a delivery's body, each as the bytes that it consists of."""

from __future__ import annotations

import msgspec

from postmeter.shared.errors import RequestError


class Anything(msgspec.Struct):
    """Any JSON object: its fields are looked at and not kept, however many they are."""


MAX_ITEMS = 10_000
MAX_COMMAS = 1_000_000
"""Of a list: more are no events, for the largest body has 16 bytes for each, and a million items fit in memory."""
_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_object_decoder = msgspec.json.Decoder(Anything)


def of_list(body: bytes) -> list[bytes]:
    """The elements of a JSON list. Raises RequestError 400 for another body, or too many."""
    if body.count(b",") > MAX_COMMAS:
        raise _too_many()
    try:
        found = _list_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(400, "INVALID_JSON", f"This is no JSON list: {error}") from None
    if len(found) > MAX_ITEMS:
        raise _too_many()
    return [bytes(item) for item in found]


def of_object(body: bytes) -> list[bytes]:
    """The body itself, a JSON object. Raises RequestError 400 for what is no JSON."""
    try:
        _object_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(400, "INVALID_JSON", f"This is no JSON object: {error}") from None
    return [body]


def _too_many() -> RequestError:
    return RequestError(400, "TOO_MANY_ITEMS", f"at most {MAX_ITEMS} events at once")
