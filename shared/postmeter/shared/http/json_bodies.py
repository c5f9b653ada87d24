"""JSON that callers send, decoded into structs; what is wrong with it is said in the same words everywhere."""

from __future__ import annotations

import re
from array import array
from itertools import accumulate
from typing import Any, TypeVar

import msgspec

from postmeter.shared.errors import FieldRefused, RequestError
from postmeter.shared.text import quoting

T = TypeVar("T")
_ARRAY = re.compile(rb"[ \t\r\n]*+\[")
TRAILING = "trailing characters"
DEEP = 10_000
"""Levels of JSON; what has more is nested too deeply for whoever decodes it."""
LEVELS = 400
"""Of arrays and objects within each other that a body may have. Pythons read more, each as far as it goes: 3.11 some
900, 3.13 some 10,000, 3.14 some 50,000; what one service has taken, the next one could not read.
"""
MOST_NESTED = 100_000
"""Arrays and objects of one thing: to count the levels of so many takes 15 ms, in which nobody else is answered."""
# A JSON text up to the first escape that is half of a surrogate pair; msgspec may call that "truncated".
_HALF_OF_A_PAIR = re.compile(
    rb"(?:[^\\]++|\\[^u]|\\u(?![dD][89a-fA-F])"
    rb"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})*+(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)

# One text, or what was to be one.
_TEXT = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
"""What a byte of JSON adds to the levels that it stands in, as a signed byte."""
_NEITHER = bytes(set(range(256)) - set(b'"[{]}'))


def has_more_commas(body: bytes, most: int) -> bool:
    """Whether there are more than `most` between values: what is decoded from them takes a hundred times their bytes.

    Those within texts do not count. Linear, and no more of the body is looked at than it takes: JSON has a comma for
    every two texts at least, unless it is nested deeply, and a body of other texts has too many values in any case.
    """
    if body.count(b",") <= most:
        return False
    found = begin = 0
    for number, text in enumerate(_TEXT.finditer(body)):
        found += body.count(b",", begin, text.start())
        begin = text.end()
        if found > most or number > 2 * (found + DEEP):
            return True
    return found + body.count(b",", begin) > most


def is_deep(body: bytes | msgspec.Raw) -> bool:
    """Whether JSON has more than LEVELS within each other, or more than MOST_NESTED at all. Linear."""
    body = bytes(body)
    if body.count(b"[") + body.count(b"{") <= LEVELS:
        return False
    if b"\\" in body:
        body = body.replace(rb"\\", b"").replace(rb"\"", b"")
    marks = body.translate(_STEPS, _NEITHER).replace(b'""', b"")
    outside_texts = b"".join(marks.split(b'"')[::2])
    return len(outside_texts) > 2 * MOST_NESTED or max(accumulate(array("b", outside_texts)), default=0) > LEVELS


def decode(
    decoder: msgspec.json.Decoder[T], body: bytes | msgspec.Raw, place: str = "", *, in_parts: bool = False
) -> T:
    """A JSON value of the decoder's type; it stands at `place` in the body.

    in_parts: what is nested in it is decoded by itself, and not looked into here.
    Raises RequestError 400 for what is not JSON, FieldRefused for what does not fit the type.
    """
    try:
        found = decoder.decode(body)
    except msgspec.ValidationError:
        raise refusal(body, decoder.type, place) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError(400, "INVALID_JSON", f"This is not JSON: {reason(body, str(error))}") from None
    except RecursionError:
        raise _too_deep() from None
    if not in_parts and is_deep(body):  # only asked of what is JSON: other texts may have any number of quotes
        raise _too_deep()
    return found


def _too_deep() -> RequestError:
    return RequestError(400, "INVALID_JSON", f"The JSON is nested too deeply: {LEVELS} levels are read.")


def refuse_array(body: bytes, instead: str) -> None:
    """Raise FieldRefused if the body is a JSON array; `instead` says what to send."""
    if _ARRAY.match(body):
        raise FieldRefused(f"The body is a JSON array; {instead}.")


def half_of_a_pair(body: bytes | msgspec.Raw, begin: int = 0) -> re.Match[bytes] | None:
    """The first escape from `begin` on that is half of a surrogate pair, as group 1 of what was read up to it."""
    return _HALF_OF_A_PAIR.match(body, begin)


def reason(body: bytes | msgspec.Raw, message: str) -> str:
    """Why a body is not JSON: msgspec's `message`, or what it does not say."""
    if "truncated" in message or "surrogate" in message:
        half = half_of_a_pair(body)
        if half is not None:
            return f"{half.group(1).decode()} is half of a surrogate pair (byte {half.start(1)})"
        if not bytes(body).strip():
            return "it is empty"
    return message


NAME_CHARS = 100
# msgspec's words hold the caller's own names and values, and so no part of them is searched for marks of ours.
# It ends with the path of what it refuses, but says nothing at the root: there a caller's name could pass for a
# path. Within a list there is always one, it is the last of its kind, and it holds declared names and indexes only:
# "... - at `$[0].tags[3]`", and "... - at `key` in `$[0].filters`".
_AT = " - at `"
_KEY = "key` in `"
_ROOT = "$[0]"
_UNKNOWN = "Object contains unknown field `"
_MISSING = "Object missing required field `"


def refusal(text: bytes | msgspec.Raw, kind: Any, place: str = "") -> FieldRefused:
    """The error for JSON that was refused as a `kind`; it stands at `place` in the body.

    Time is linear in the text: it is read once more.
    """
    path, words = _said(text, kind)
    field = place + (path if path.startswith("[") or not place or not path else f".{path}")
    for beginning, meaning in ((_UNKNOWN, "There is no such field."), (_MISSING, "This field is required.")):
        if words.startswith(beginning):
            name = quoting.clean(words[len(beginning) : -1], NAME_CHARS)
            field, words = f"{field}.{name}" if field else name, meaning
            break
    return FieldRefused(f"{field or 'body'}: {words}", field or None)


def _said(text: bytes | msgspec.Raw, kind: Any) -> tuple[str, str]:
    """(path, what is wrong there): the path is "" for the value itself, else `tags[3]` or `[2].id`."""
    try:
        msgspec.json.decode(b"[" + bytes(text) + b"]", type=list[kind])
    except msgspec.ValidationError as error:
        words, _, path = str(error).rpartition(_AT)
        return path.removeprefix(_KEY).removeprefix(_ROOT).removeprefix(".").removesuffix("`"), words
    except (ValueError, RecursionError):
        pass
    return "", "This does not have the form that is asked for."
