"""Query strings, read into structs: each parameter once, unknown ones passed over."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec
from aiohttp import web

from postmeter.shared.errors import RequestError

T = TypeVar("T", bound=msgspec.Struct)
LARGE = 10**18
_LIMIT = re.compile(r"[0-9]{1,9}", re.ASCII)


def read(request: web.Request, kind: type[T]) -> T:
    """The query string as `kind`, whose fields are texts with defaults; an empty value is one that was given.

    Raises RequestError 400 INVALID_PARAMETER for a parameter given twice, or one with a NUL.
    """
    given: dict[str, str] = {}
    for field in msgspec.structs.fields(kind):
        values = request.query.getall(field.encode_name, [])
        if len(values) > 1:
            raise invalid(field.encode_name, "is given more than once.")
        if values:
            if "\0" in values[0]:
                raise invalid(field.encode_name, "must not hold a NUL.")
            given[field.name] = values[0]
    return kind(**given)


def invalid(name: str, message: str) -> RequestError:
    """The error of a parameter: its name, then `message`."""
    return RequestError(400, "INVALID_PARAMETER", f"{name} {message}", name)


def limit(text: str, most: int) -> int:
    """How many a page may have, 1 to `most`. Raises RequestError 400 INVALID_PARAMETER."""
    value = int(text) if _LIMIT.fullmatch(text) else 0
    if not 1 <= value <= most:
        raise invalid("limit", f"takes 1 to {most}.")
    return value


def whole(text: str, name: str) -> int:
    """A whole number from 1 on; what is larger than LARGE is LARGE. Raises RequestError 400 INVALID_PARAMETER."""
    digits = text.lstrip("0") if text.isascii() and text.isdigit() else ""
    # Converting a text takes time by the square of its length: LARGE has 19 digits.
    value = int(digits or "0") if len(digits) < len(str(LARGE)) else LARGE
    if value < 1:
        raise invalid(name, "must be a whole number from 1 on.")
    return value
