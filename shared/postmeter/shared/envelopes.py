"""Error answers in the envelope of the document whose path was called (SEMANTICS.md)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from postmeter.shared.endpoints import Document
from postmeter.shared.errors import RequestError


def meta(request_id: str) -> dict[str, str]:
    """D1's `meta` object, of this moment."""
    return {"request_id": request_id, "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


def error_body(document: Document, error: RequestError, request_id: str) -> bytes:
    """The JSON of an error answer."""
    inner: dict[str, Any] = {"code": error.code, "message": error.message}
    if document is Document.D1:
        return msgspec.json.encode({"error": inner, "meta": meta(request_id)})
    if error.field is not None:
        inner["field"] = error.field
    return msgspec.json.encode({"error": inner})
