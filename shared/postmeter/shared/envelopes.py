"""Error answers in the envelope of the document whose path was called (SEMANTICS.md)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from postmeter.shared.apis.endpoint import Document
from postmeter.shared.errors import RequestError


def meta(request_id: str) -> dict[str, str]:
    """D1's `meta` object, of this moment."""
    return {"request_id": request_id, "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


def error_body(document: Document, error: RequestError, request_id: str) -> bytes:
    """The JSON of an error answer."""
    return msgspec.json.encode(_error(document, error, request_id))


def _error(document: Document, error: RequestError, request_id: str) -> dict[str, Any]:
    inner = {"code": error.code, "message": error.message}
    match document:
        case Document.D1:
            return {"error": inner, "meta": meta(request_id)}
        case Document.D3:
            return {"success": False, "error": inner}
        case Document.D4:
            return {"success": False, "error": error.message, "error_type": error.code}
        case Document.NATIVE if error.field is not None:
            return {"error": {**inner, "field": error.field}}
        case _:
            return {"error": inner}
