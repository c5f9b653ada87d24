"""Checks of the track API's values. Each raises FieldRefused that names the field (semantics.md)."""

from __future__ import annotations

import math
import re
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from iso4217 import Currency

from postmeter.shared.http import json_bodies, times
from postmeter.shared.http.fields import invalid
from postmeter.tracking.requests import fields

_SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*", re.ASCII)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,6})?", re.ASCII)
# Of JSON: a text, or a number's digits and exponent.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"?|([\d.]++)(?:[eE]([+-]?\d++))?', re.DOTALL)
NAME_CHARS = 100
NUMBER_CHARS = 64
FLOAT_DIGITS = range(15, 18)
FLOAT_STEPS = 16
WHOLE_DIGITS = 15
FINE_PLACES = 6
"""Decimals of a line item's price and quantity, and of amounts in a currency that has no minor unit, such as gold."""
OBJECT_BYTES = 16_384
OBJECT_DEPTH = 8
OBJECT_DIGITS = 1_000
OBJECT_EXPONENT = 300
"""Of numbers in properties: Postgres keeps each digit, but not of numbers with more than 16,383 decimals."""


def event_name(value: str) -> str:
    """A name in snake_case."""
    if len(value) > NAME_CHARS or _SNAKE_CASE.fullmatch(value) is None:
        raise invalid("event_name", f"takes snake_case, such as trial_started, of at most {NAME_CHARS} characters")
    return value


def currency(value: str) -> Currency:
    """An active code of ISO 4217, in upper case."""
    try:
        return Currency(value)
    except ValueError:
        raise invalid("currency", "takes a code of ISO 4217, such as USD") from None


def amount(value: msgspec.Raw, of: Currency) -> Decimal:
    """Money of a currency, exactly as it was written: not negative, with no more decimals than the currency has."""
    places = FINE_PLACES if of.exponent is None else of.exponent
    found = number("amount", value, places, f"{of.code} has {places} decimals")
    if found < 0:
        raise invalid("amount", "takes 0 or a positive number")
    return abs(found)


def timestamp(value: str | None, received: datetime) -> tuple[int, int | None]:
    """As `fields.timestamp` says it; a time without a zone is UTC, for Misar's document does not ask for one."""
    if value is not None and times.has_no_zone(value):
        value = f"{value}Z"
    return fields.timestamp("timestamp", value, received)


def number(field: str, value: msgspec.Raw, places: int, why: str) -> Decimal:
    """An exact decimal; `why` tells who sends more than `places` decimals why they are too many."""
    text = _written(field, value).strip()
    if text.startswith('"'):
        raise invalid(field, "takes a number, without quotes")
    if len(text) > NUMBER_CHARS or _NUMBER.fullmatch(text) is None:
        raise invalid(field, f"takes a number of at most {NUMBER_CHARS} characters")
    found = Decimal(text)
    if found and found.adjusted() >= WHOLE_DIGITS:
        raise invalid(field, f"takes a number below 10^{WHOLE_DIGITS}")
    exact = found.quantize(Decimal(1).scaleb(-places))
    if exact != found and not _is_sum_of_floats(found, exact):
        raise invalid(field, why)
    return exact


def _is_sum_of_floats(found: Decimal, exact: Decimal) -> bool:
    """Whether a number, as 0.30000000000000004, is what binary arithmetic makes of a sum of exact ones.

    It has the digits of a binary float, and is as many of its steps away from the exact one as some additions make.
    """
    significant = len(found.normalize().as_tuple().digits)
    return significant in FLOAT_DIGITS and abs(found - exact) <= FLOAT_STEPS * Decimal(math.ulp(float(found)))


def properties(value: msgspec.Raw, field: str = "properties") -> str:
    """A JSON object, bounded in size and depth; as it was written, so that no number loses a digit."""
    text = bytes(value)
    if len(text) > OBJECT_BYTES:
        raise invalid(field, f"takes {OBJECT_BYTES} bytes at most")
    given = _written(field, value)
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise invalid(field, json_bodies.reason(text, str(error))) from None
    except RecursionError:
        raise invalid(field, f"takes at most {OBJECT_DEPTH} levels") from None
    if not isinstance(found, dict):
        raise invalid(field, "takes an object")
    _check(found, field)
    for token in _TOKEN.finditer(text):
        digits, exponent = token.groups(b"")
        if len(digits) > OBJECT_DIGITS or len(exponent) > 10 or abs(int(exponent or 0)) > OBJECT_EXPONENT:
            raise invalid(
                field, f"takes numbers of {OBJECT_DIGITS} digits and an exponent of {OBJECT_EXPONENT} at most"
            )
    return given


def _written(field: str, value: msgspec.Raw) -> str:
    """JSON as it was written; msgspec does not look at what it keeps raw."""
    try:
        return bytes(value).decode()
    except UnicodeDecodeError:
        raise invalid(field, "is not UTF-8") from None


def _check(found: Any, field: str) -> None:
    level = [found]
    for _ in range(OBJECT_DEPTH + 1):
        inner: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                inner += [*one, *one.values()]
            elif isinstance(one, list):
                inner += one
            elif isinstance(one, str) and "\0" in one:
                raise invalid(field, "NUL cannot be stored")
        level = inner
        if not level:
            return
    raise invalid(field, f"takes at most {OBJECT_DEPTH} levels")
