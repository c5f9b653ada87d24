"""What the gateway says about itself: the OpenAPI document and the page to try it."""

from __future__ import annotations

from typing import Any

from postmeter.shared.apis.endpoint import Document, Endpoint, Service

OPENAPI_PATH = "/openapi.json"
DOCS_PATH = "/docs"
LEAD_TO_DOCS = ("/", DOCS_PATH + "/")
"""What people type who look for that page."""


def _endpoint(path: str, summary: str, **more: Any) -> Endpoint:
    return Endpoint(method="GET", path=path, document=Document.NATIVE, service=Service.GATEWAY, summary=summary, **more)


ENDPOINTS = (
    _endpoint(OPENAPI_PATH, "This document", answer=dict[str, Any]),
    _endpoint(DOCS_PATH, "A page to read and try all of this", media="text/html"),
    *(_endpoint(path, "Leads to that page", status=302) for path in LEAD_TO_DOCS),
    _endpoint(DOCS_PATH + "/{file}", "What that page consists of", media="*/*"),
)
