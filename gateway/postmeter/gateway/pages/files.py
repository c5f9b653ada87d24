"""One file that the gateway serves by itself: packed once, named by its content."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass

from aiohttp import web

REVALIDATED = "no-cache"
"""Revalidated each time, and answered with 304 while it is the same."""
FOR_EVER = "public, max-age=31536000, immutable"
"""Never asked for again: for files whose path changes with their content."""


@dataclass(frozen=True, slots=True)
class Page:
    """A file with its headers. media: with `text/`, its text is UTF-8. caching: as `Cache-Control` says it."""

    media: str
    plain: bytes
    packed: bytes
    tag: str
    policy: str
    caching: str

    @classmethod
    def of(cls, media: str, content: bytes, policy: str, caching: str = REVALIDATED) -> Page:
        """The page of this content."""
        # Weak: one tag names the plain and the packed form.
        return cls(media, content, gzip.compress(content, 9, mtime=0), f'W/"{digest(content)}"', policy, caching)

    def answer(self, request: web.BaseRequest) -> web.Response:
        """The page, compressed for clients that accept it, or 304 for those that have it."""
        headers = {
            "Content-Security-Policy": self.policy,
            "Referrer-Policy": "no-referrer",
            "Cache-Control": self.caching,
            "Vary": "Accept-Encoding",
            "ETag": self.tag,
        }
        if self.tag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        body = self.plain
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            body, headers["Content-Encoding"] = self.packed, "gzip"
        charset = "utf-8" if self.media.startswith("text/") else None
        return web.Response(body=body, content_type=self.media, charset=charset, headers=headers)


def digest(content: bytes) -> str:
    """A short name of a content."""
    return hashlib.sha256(content).hexdigest()[:16]
