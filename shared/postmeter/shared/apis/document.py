"""What an API document is: its name, the paths that are its own, and the shape of its errors."""

from __future__ import annotations

from typing import Protocol

import msgspec
from msgspec import UNSET, Struct, UnsetType

from postmeter.shared.apis.codes import Code
from postmeter.shared.errors import RequestError


class Problem(Struct):
    """code: for programs. message: what to do, for people."""

    code: str
    message: str


class FieldProblem(Problem):
    """field: which one is wrong, as it is named in the query or the body."""

    field: str | UnsetType = UNSET


class PlainError(Struct):
    """Every error of this API."""

    error: Problem

    @classmethod
    def of(cls, error: RequestError, request_id: str) -> PlainError:
        """The error in this shape."""
        return cls(Problem(error.code, error.message))


class FieldError(Struct):
    """Every error of Postmeter's own endpoints."""

    error: FieldProblem

    @classmethod
    def of(cls, error: RequestError, request_id: str) -> FieldError:
        """The error in this shape."""
        return cls(FieldProblem(error.code, error.message, UNSET if error.field is None else error.field))


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
