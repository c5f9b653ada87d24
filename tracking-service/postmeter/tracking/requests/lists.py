"""Bodies that are one thing, or a list of such things under a name."""

from __future__ import annotations

from typing import Any

import msgspec

from postmeter.shared.apis.mail.events import Rejected
from postmeter.shared.errors import RequestError
from postmeter.shared.http import json_bodies


def rejected(index: int, error: RequestError) -> Rejected:
    """The report of one item's error."""
    return Rejected(index, error.code, error.message, error.field)


class OneOrMany:
    """Tells one thing from a list. A list is decoded once; its items are left as they are written.

    many: the struct of a list, whose one field `name` holds them.
    """

    def __init__(self, many: type[msgspec.Struct], name: str) -> None:
        self._name = name
        self._many = msgspec.json.Decoder(many)
        either = msgspec.Raw | msgspec.UnsetType
        self._either = msgspec.json.Decoder(msgspec.defstruct("_Either", [(name, either, msgspec.UNSET)]))

    def items(self, body: bytes) -> list[msgspec.Raw] | None:
        """The items of a list; None: the body is one thing. Raises RequestError or FieldRefused for a bad list."""
        try:
            found = self._many.decode(body)
        except msgspec.ValidationError:  # by its first field, if it is one thing
            if getattr(json_bodies.decode(self._either, body, in_parts=True), self._name) is msgspec.UNSET:
                return None
            found = json_bodies.decode(self._many, body, in_parts=True)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            found = json_bodies.decode(self._many, body, in_parts=True)
        items: list[msgspec.Raw] = getattr(found, self._name)
        return items

    def refusal(self, refused: list[Rejected]) -> dict[str, Any]:
        """The answer about a list of which nothing can be accepted: the first item's error, and all of them."""
        first = refused[0]
        item = f"{self._name}[{first.index}]"
        field = f"{item}.{first.field}" if first.field else item
        return {
            "error": {"code": first.code, "message": f"{item}: {first.message}", "field": field},
            "rejected": refused,
        }
