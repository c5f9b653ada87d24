"""Error answers: the shapes that several documents have, or Postmeter's own (semantics.md, "Who may read")."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

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
