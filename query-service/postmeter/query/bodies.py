"""JSON bodies, decoded into structs with errors that name the field."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec
from aiohttp import web

from postmeter.shared.errors import RequestError

T = TypeVar("T")
# msgspec ends its messages with the path of what it refuses: "... - at `$.metrics[3]`".
_PLACE = re.compile(r"(.*) - at `\$\.?(.*)`", re.DOTALL)
_NAME = re.compile(r"(missing required|unknown) field `([^`]*)`")
_TEXTS = {"missing required": "This field is required.", "unknown": "There is no such field."}


async def read(request: web.Request, kind: type[T]) -> T:
    """The request's body as `kind`. Raises as `decode` does."""
    return decode(await request.read(), kind)


def decode(text: bytes | msgspec.Raw, kind: type[T], place: str = "") -> T:
    """JSON as `kind`; it stands at `place` in the body.

    Raises RequestError 400 INVALID_JSON, or INVALID_FIELD with the field.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        raise _invalid(str(error), place) from None
    except (ValueError, RecursionError):
        raise RequestError(400, "INVALID_JSON", "The body is not valid JSON.") from None


def _invalid(message: str, place: str) -> RequestError:
    if match := _PLACE.fullmatch(message):
        message, inner = match.groups()
        place += inner if inner.startswith("[") or not place else f".{inner}"
    if match := _NAME.search(message):
        what, name = match.groups()
        place, message = f"{place}.{name}" if place else name, _TEXTS[what]
    return RequestError(400, "INVALID_FIELD", f"{place or 'body'}: {message}", place or None)
