"""JSON bodies, decoded into structs with errors that name the field."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from aiohttp import web

from postmeter.shared.errors import RequestError
from postmeter.shared.http import json_refusals

T = TypeVar("T")


async def read(request: web.Request, kind: type[T]) -> T:
    """The request's body as `kind`. Raises as `decode` does."""
    return decode(await request.read(), kind)


def decode(text: bytes | msgspec.Raw, kind: type[T], place: str = "") -> T:
    """JSON as `kind`; it stands at `place` in the body.

    Raises RequestError 400 INVALID_JSON, or INVALID_FIELD with the field.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError:
        raise json_refusals.refusal(text, kind, place) from None
    except (ValueError, RecursionError):
        raise RequestError(400, "INVALID_JSON", "The body is not valid JSON.") from None
