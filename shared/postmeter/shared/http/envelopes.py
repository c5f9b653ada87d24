"""Error answers in the envelope of the document whose path was called (semantics.md)."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from postmeter.shared.apis import errors
from postmeter.shared.apis.endpoint import Document
from postmeter.shared.errors import RequestError


def meta(request_id: str) -> dict[str, str]:
    """Vectis's `meta` object, of this moment."""
    return {"request_id": request_id, "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


def error_body(document: Document, error: RequestError, request_id: str) -> bytes:
    """The JSON of an error answer."""
    return msgspec.json.encode(_error(document, error, request_id))


def _error(document: Document, error: RequestError, request_id: str) -> msgspec.Struct:
    problem = errors.Problem(error.code, error.message)
    match document:
        case Document.VECTIS:
            return errors.StampedError(problem, errors.Meta(**meta(request_id)))
        case Document.WORKSPACES:
            return errors.FailedError(False, problem)
        case Document.MISAR:
            return errors.FlatError(False, error.message, error.code)
        case Document.NATIVE:
            field = msgspec.UNSET if error.field is None else error.field
            return errors.FieldError(errors.FieldProblem(error.code, error.message, field))
        case _:
            return errors.PlainError(problem)
