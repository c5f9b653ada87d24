"""The items of a delivery's body, each as the bytes that it consists of."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from postmeter.shared.errors import RequestError
from postmeter.shared.http import json_bodies

T = TypeVar("T")


class AnyObject(msgspec.Struct):
    """Any JSON object: its fields are looked at and not kept, however many they are."""


MAX_ITEMS = 10_000
MAX_COMMAS = 1_000_000
"""Of a list: more cannot be events, for the largest body has 16 bytes for each, and a million items fit in memory."""
ITEM_BYTES = 1 << 20
"""Of one event: no provider sends as much, and what is read from it takes many times its size."""
MOST_MENDED = 10_000
_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_object_decoder = msgspec.json.Decoder(AnyObject)


def of_list(body: bytes) -> list[bytes]:
    """The elements of a JSON list. Raises RequestError 400 for another body, or too many."""
    if body.count(b",") > MAX_COMMAS:
        raise _too_many()
    try:
        found = decoded(_list_decoder, body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(400, "INVALID_JSON", f"This is not a JSON list: {error}") from None
    if len(found) > MAX_ITEMS:
        raise _too_many()
    return [bytes(item) for item in found]


def of_object(body: bytes) -> list[bytes]:
    """The body itself, a JSON object. Raises RequestError 400 for what is not JSON."""
    try:
        decoded(_object_decoder, body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(400, "INVALID_JSON", f"This is not a JSON object: {error}") from None
    return [body]


def mended(body: bytes) -> bytes:
    """JSON with U+FFFD for what is not text: bytes that are not UTF-8, escapes of half a surrogate pair.

    Readers' user agents and addresses may hold them, and nobody could send such an event in another form.
    """
    text = body.decode("utf-8", "replace").encode()
    pieces, begin = list[bytes](), 0
    while len(pieces) < MOST_MENDED and (half := json_bodies.half_of_a_pair(text, begin)):
        pieces.append(text[begin : half.start(1)])
        begin = half.end()
    return rb"\ufffd".join([*pieces, text[begin:]])


def decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """What the JSON says, mended if it must be. Raises what the decoder raises."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        whole = mended(body)
        if whole == body:
            raise
        return decoder.decode(whole)


def _too_many() -> RequestError:
    return RequestError(400, "TOO_MANY_ITEMS", f"at most {MAX_ITEMS} events at once")
