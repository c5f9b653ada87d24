"""What the gateway says about itself, the OpenAPI document and the page to try it; and the dashboard's pages."""

from __future__ import annotations

from typing import Any

from postmeter.shared.apis.document import NATIVE
from postmeter.shared.apis.endpoint import Endpoint, Service

OPENAPI_PATH = "/openapi.json"
DOCS_PATH = "/docs"
LEADS_TO_DOCS = DOCS_PATH + "/"
"""What people type who look for that page."""
ASSETS_PATH = "/dashboard"
"""What the dashboard consists of, below it."""


def _endpoint(path: str, summary: str, **more: Any) -> Endpoint:
    return Endpoint(method="GET", path=path, document=NATIVE, service=Service.GATEWAY, summary=summary, **more)


ENDPOINTS = (
    _endpoint(OPENAPI_PATH, "This document", answer=dict[str, Any]),
    _endpoint(DOCS_PATH, "A page to read and try all of this", media="text/html"),
    _endpoint(LEADS_TO_DOCS, "Redirects to that page", status=302),
    _endpoint(DOCS_PATH + "/{file}", "The files of that page", media="*/*"),
)

SCREENS = tuple(
    _endpoint(path, "A screen of the dashboard", media="text/html")
    for path in (
        "/",
        "/login",
        "/campaigns",
        "/campaigns/{id}",
        "/messages/{id}",
        "/deliverability",
        "/when",
        "/compare",
        "/explore",
        "/live",
        "/settings",
        "/settings/privacy",
    )
)
"""The dashboard's addresses; site/dashboard/screens.js says what each one shows."""
ASSETS = tuple(
    _endpoint(f"{ASSETS_PATH}/{{version}}/{rest}", "What the dashboard consists of", media="*/*")
    for rest in ("{file}", "{folder}/{file}")
)
PAGES = SCREENS + ASSETS
"""Pages for people: routed like endpoints, and no part of the API that the OpenAPI document describes."""
