"""What the gateway answers by itself: the OpenAPI document, the page to read and try it (ADR 0015), and the dashboard
(ADR 0043).

The page is swagger-ui, whose files lie in site/swagger-ui as they were released (ADR 0033); whatever a page needs is
served from here, and its policy lets it load nothing from elsewhere.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

import msgspec
from aiohttp import web

from postmeter.gateway.openapi import document
from postmeter.gateway.pages import dashboard
from postmeter.gateway.pages.files import Page
from postmeter.shared.apis.endpoint import Endpoint
from postmeter.shared.apis.pages import DOCS_PATH, LEADS_TO_DOCS, OPENAPI_PATH
from postmeter.shared.errors import RequestError

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_OURS = {"start.js": "text/javascript", "style.css": "text/css", "icon.svg": "image/svg+xml"}
_SWAGGER = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}


class Pages:
    """Answers what the gateway itself has."""

    def __init__(self) -> None:
        self._pages = _all()

    def answer(self, request: web.BaseRequest, endpoint: Endpoint) -> web.Response:
        """The page at the request's path, or else at the endpoint's. Raises RequestError 404."""
        path = request.raw_path.partition("?")[0]
        if path == LEADS_TO_DOCS:
            return web.Response(status=302, headers={"Location": DOCS_PATH})
        page = self._pages.get(path) or self._pages.get(endpoint.path)
        if page is None:
            raise RequestError(404, "NOT_FOUND", "There is nothing at this path.")
        return page.answer(request)


@cache
def _all() -> dict[str, Page]:
    """Every page by its path, read and compressed once."""
    ours = resources.files("postmeter.gateway") / "site"
    found = {
        OPENAPI_PATH: Page.of("application/json", msgspec.json.encode(document.build()), _POLICY),
        DOCS_PATH: Page.of("text/html", (ours / "index.html").read_bytes(), _POLICY),
    }
    for name, media in _OURS.items():
        found[f"{DOCS_PATH}/{name}"] = Page.of(media, (ours / name).read_bytes(), _POLICY)
    for name, media in _SWAGGER.items():
        found[f"{DOCS_PATH}/{name}"] = Page.of(media, (ours / "swagger-ui" / name).read_bytes(), _POLICY)
    return found | dashboard.pages()
