"""What an API document is: its name, the paths that are its own, and the shape of its errors."""

from __future__ import annotations

from typing import Protocol

import msgspec

from postmeter.shared.apis.codes import Code
from postmeter.shared.apis.errors import FieldError
from postmeter.shared.errors import RequestError


class ErrorShape(Protocol):
    """The struct of all errors of a document."""

    @classmethod
    def of(cls, error: RequestError, request_id: str) -> msgspec.Struct:
        """The error as the document has it."""
        ...


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """In whose envelope endpoints answer (semantics.md). Each stands beside its rows, and in the table's list.

    name, about: what OpenAPI calls it, and says of it. paths: what its own paths begin with; of beginnings that fit
    the longest decides. error: the shape of its errors. wrong_value: the code for a field that is refused. schemas:
    what the names of its structs begin with in OpenAPI; empty: the document's name.
    """

    name: str
    about: str
    paths: tuple[str, ...]
    error: type[ErrorShape]
    wrong_value: Code = "INVALID_PARAMETER"
    schemas: str = ""

    def error_body(self, error: RequestError, request_id: str) -> bytes:
        """The JSON of an error answer."""
        return msgspec.json.encode(self.error.of(error, request_id))


NATIVE = Document(
    name="Postmeter",
    about="Postmeter's own: messages, events, campaigns, and any metric by any dimension.",
    paths=(),
    error=FieldError,
    wrong_value="INVALID_FIELD",
    schemas="Native",
)
"""Postmeter's own API: all paths that no other document claims are its own."""
