"""The items of a delivery's body, each as the bytes that it consists of."""

from __future__ import annotations

import msgspec

from postmeter.shared.errors import RequestError

MAX_ITEMS = 10_000
_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])


def of_list(body: bytes) -> list[bytes]:
    """The elements of a JSON list. Raises RequestError 400 for another body, or too many."""
    try:
        found = _list_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(400, "INVALID_JSON", f"This is no JSON list: {error}") from None
    if len(found) > MAX_ITEMS:
        raise RequestError(400, "TOO_MANY_ITEMS", f"at most {MAX_ITEMS} events at once")
    return [bytes(item) for item in found]


def of_object(body: bytes) -> list[bytes]:
    """The body itself, a JSON object. Raises RequestError 400 for what is no JSON."""
    try:
        msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(400, "INVALID_JSON", f"This is no JSON object: {error}") from None
    return [body]
