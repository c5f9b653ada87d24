"""JSON that does not fit a type: msgspec's words about it, read into the field and a sentence.

Those words hold the caller's own names and values, and so no part of them is searched for marks of ours.
"""

from __future__ import annotations

from typing import Any

import msgspec

from postmeter.shared.errors import FieldRefused
from postmeter.shared.text import quoting

NAME_CHARS = 100
# msgspec ends with the path of what it refuses, but says nothing at the root: there a caller's name could pass for a
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
