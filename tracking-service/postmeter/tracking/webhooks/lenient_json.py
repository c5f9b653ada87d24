"""A provider's JSON, read leniently: a field of another type than documented costs that field at most.

Only an event's name and its message's ids may make an item unreadable, so nothing here raises for what a field
holds. Fields are decoded when they are asked for, and no others.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from postmeter.tracking.webhooks import items

T = TypeVar("T")
MOST = 1_000
"""Of the elements of a list, and of the names of an object, those that are looked at: an item may have a million, and
while they are read no hit is answered.
"""
_FALSE = frozenset({"", "false", "0", "no", "off"})
_object_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_text_decoder = msgspec.json.Decoder(str)


class JsonObject:
    """A JSON object. What is missing, null or of an unfit type reads as nothing: "", false, an empty object."""

    __slots__ = ("_fields",)

    def __init__(self, fields: dict[str, msgspec.Raw] | None = None) -> None:
        self._fields = fields or {}

    def __bool__(self) -> bool:
        return bool(self._fields)

    def names(self) -> list[str]:
        """The names of its fields, MOST at most."""
        return list(self._fields)[:MOST]

    def raw(self, name: str) -> bytes:
        """A field as JSON; empty if it is missing."""
        return bytes(self._fields.get(name, b""))

    def text(self, *names: str) -> str:
        """The first of these fields that says something: a text, or a number or boolean as it is written."""
        for name in names:
            if found := text_of(self.raw(name)):
                return found
        return ""

    def word(self, *names: str) -> str:
        """A text from a closed set of the provider's: trimmed, in lower case."""
        return self.text(*names).strip().lower()

    def yes(self, name: str) -> bool:
        """True, "true", 1 and their like; not what is missing, empty or says no."""
        return self.word(name) not in _FALSE

    def object(self, name: str) -> JsonObject:
        """The object of that name; an empty one for anything else."""
        return object_of(self.raw(name))

    def objects(self, name: str) -> list[JsonObject]:
        """The objects in the list of that name; what else is in it is passed over. One alone is a list of one."""
        raw = self.raw(name)
        return [told for one in (list_of(raw) or [raw]) if (told := object_of(one))]

    def texts(self, name: str) -> list[str]:
        """The texts in the list of that name; what else is in it is passed over. One alone is a list of one."""
        raw = self.raw(name)
        return [text for one in (list_of(raw) or [raw]) if (text := text_of(one))]


class FewFields:
    """Reads a few fields of an object and passes over all others: what is not verified yet may have millions."""

    def __init__(self, *names: str) -> None:
        fields = [(f"field_{place}", msgspec.Raw, msgspec.Raw()) for place in range(len(names))]
        rename = {field[0]: name for field, name in zip(fields, names, strict=True)}
        self._names = rename
        self._decoder = msgspec.json.Decoder(msgspec.defstruct("FewFields", fields, rename=rename))

    def of(self, json: bytes, *, mend: bool = True) -> JsonObject:
        """As object_of, but only these fields."""
        found = _decoded(self._decoder, json, mend=mend) if json.lstrip()[:1] == b"{" else None
        raw = {name: getattr(found, field, msgspec.Raw()) for field, name in self._names.items()}
        return JsonObject({name: one for name, one in raw.items() if bytes(one)})


def item_of(item: bytes) -> JsonObject:
    """The object that an item is. Raises msgspec.DecodeError, UnicodeDecodeError or RecursionError for what is not."""
    return JsonObject(_object_decoder.decode(item))


def object_of(json: bytes, *, mend: bool = True) -> JsonObject:
    """A JSON object; an empty one for what is not one. mend: read it also if some of it is not text."""
    return JsonObject(_decoded(_object_decoder, json, mend=mend)) if json.lstrip()[:1] == b"{" else JsonObject()


def list_of(json: bytes) -> list[bytes]:
    """The elements of a JSON list, MOST at most; none of what is not one."""
    return [bytes(one) for one in (_decoded(_list_decoder, json) or [])[:MOST]] if json.lstrip()[:1] == b"[" else []


def text_of(json: bytes) -> str:
    """A scalar as text: a number and a boolean as they are written; nothing for null, lists and objects."""
    first = json[:1]
    if first == b'"':
        return _decoded(_text_decoder, json) or ""
    return "" if first in (b"{", b"[", b"n", b"") else json.decode("ascii", "replace")


def _decoded(decoder: msgspec.json.Decoder[T], json: bytes, *, mend: bool = True) -> T | None:
    try:
        return items.decoded(decoder, json) if mend else decoder.decode(json)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
