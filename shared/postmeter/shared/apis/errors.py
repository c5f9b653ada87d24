"""Error answers: one shape for each document (semantics.md, "Who may read")."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from postmeter.shared.apis.endpoint import Document
from postmeter.shared.apis.vectis import Meta as Meta


class Problem(Struct):
    """code: for programs. message: what to do, for people."""

    code: str
    message: str


class FieldProblem(Problem):
    """field: which one is wrong, as it is named in the query or the body."""

    field: str | UnsetType = UNSET


class StampedError(Struct):
    """Every error of Vectis."""

    error: Problem
    meta: Meta


class PlainError(Struct):
    """Every error of Optail and Krafter."""

    error: Problem


class FailedError(Struct):
    """Every error of Workspaces."""

    success: Literal[False]
    error: Problem


class FlatError(Struct):
    """Every error of Misar. error: what to do, for people. error_type: for programs."""

    success: Literal[False]
    error: str
    error_type: str


class FieldError(Struct):
    """Every error of Postmeter's own endpoints."""

    error: FieldProblem


ERRORS: dict[Document, type[Struct]] = {
    Document.VECTIS: StampedError,
    Document.OPTAIL: PlainError,
    Document.WORKSPACES: FailedError,
    Document.MISAR: FlatError,
    Document.KRAFTER: PlainError,
    Document.NATIVE: FieldError,
}
