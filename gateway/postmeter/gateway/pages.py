"""What the gateway answers by itself: the OpenAPI document, and the page to read and try it (ADR 0015).

The page is swagger-ui, whose files lie in site/swagger-ui as they were released (ADR 0033); whatever the page needs is
served from here, and its policy lets it load nothing from elsewhere.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources

import msgspec
from aiohttp import web

from postmeter.shared.apis.meta import DOCS_PATH, LEAD_TO_DOCS, OPENAPI_PATH
from postmeter.shared.errors import RequestError
from postmeter.shared.openapi import document

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


@dataclass(frozen=True, slots=True)
class _Page:
    media: str
    plain: bytes
    packed: bytes
    tag: str


class Pages:
    """Answers what the gateway itself has."""

    def __init__(self) -> None:
        self._pages = _all()

    def answer(self, request: web.BaseRequest) -> web.Response:
        """The page at the request's path. Raises RequestError 404."""
        path = request.raw_path.partition("?")[0]
        if path in LEAD_TO_DOCS:
            return web.Response(status=302, headers={"Location": DOCS_PATH})
        page = self._pages.get(path)
        if page is None:
            raise RequestError(404, "NOT_FOUND", "There is nothing at this path.")
        headers = {
            "Content-Security-Policy": _POLICY,
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-cache",
            "Vary": "Accept-Encoding",
            "ETag": page.tag,
        }
        if page.tag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        body = page.plain
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            body, headers["Content-Encoding"] = page.packed, "gzip"
        return web.Response(body=body, content_type=page.media, charset=_charset(page.media), headers=headers)


@cache
def _all() -> dict[str, _Page]:
    """Every page by its path, read and packed once."""
    ours = resources.files("postmeter.gateway") / "site"
    found = {
        OPENAPI_PATH: _page("application/json", msgspec.json.encode(document.build())),
        DOCS_PATH: _page("text/html", (ours / "index.html").read_bytes()),
    }
    for name, media in _OURS.items():
        found[f"{DOCS_PATH}/{name}"] = _page(media, (ours / name).read_bytes())
    for name, media in _SWAGGER.items():
        found[f"{DOCS_PATH}/{name}"] = _page(media, (ours / "swagger-ui" / name).read_bytes())
    return found


def _page(media: str, content: bytes) -> _Page:
    # Weak: one tag names the plain and the packed form.
    tag = f'W/"{hashlib.sha256(content).hexdigest()[:16]}"'
    return _Page(media, content, gzip.compress(content, 6, mtime=0), tag)


def _charset(media: str) -> str | None:
    return "utf-8" if media.startswith("text/") else None
