"""JSON bodies, decoded into structs with errors that name the field."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec
from aiohttp import web

from postmeter.shared.errors import RequestError

T = TypeVar("T")
_PLACE = re.compile(r"(.*) - at `\$\.?(.*)`", re.DOTALL)
_NAME = re.compile(r"(?:missing required|unknown) field `([^`]*)`")


async def read(request: web.Request, kind: type[T]) -> T:
    """The request's body as `kind`. Raises RequestError 400 INVALID_JSON, or INVALID_FIELD with the field."""
    body = await request.read()
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except (ValueError, RecursionError):
        raise RequestError(400, "INVALID_JSON", "The body is not valid JSON.") from None


def _invalid(text: str) -> RequestError:
    message, place = text, ""
    if match := _PLACE.fullmatch(text):
        message, place = match.groups()
    if match := _NAME.search(message):
        place = f"{place}.{match.group(1)}" if place else match.group(1)
    return RequestError(400, "INVALID_FIELD", f"{place or 'body'}: {message}", place or None)
