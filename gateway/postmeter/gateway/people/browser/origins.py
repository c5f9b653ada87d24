"""Where a request comes from: whether over https, and whether from a page of our own (ADR 0042).

A browser says from whose page it sends a request: Sec-Fetch-Site (over https and on this machine), and Origin with all
that is not GET or HEAD. Whoever says neither is not a browser of this decade, and no other page has made it
send a cookie.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web

from postmeter.shared.errors import RequestError

_READS = ("GET", "HEAD")
_OWN = ("same-origin", "none")
"""none: the person did it, by the address bar."""


class Origins:
    """public_url: the gateway as people know it, empty where nobody has said it. hops: trusted proxies before it."""

    def __init__(self, public_url: str, hops: int) -> None:
        self._url = public_url.rstrip("/")
        parts = urlsplit(public_url)
        self._public = (parts.scheme, parts.netloc.lower()) if public_url else None
        self._hops = hops

    def is_secure(self, request: web.BaseRequest) -> bool:
        """Whether people come over https: by the public URL, or what the outermost trusted proxy says."""
        if self._public is not None and self._public[0] == "https":
            return True
        said = ",".join(request.headers.getall("X-Forwarded-Proto", ())) if self._hops else ""
        return said != "" and said.split(",")[-self._hops :][0].strip().lower() == "https"

    def base(self, request: web.BaseRequest) -> str:
        """The gateway's URL as people know it, without a final slash; if none is configured, as this request has it."""
        if self._url:
            return self._url
        return f"{'https' if self.is_secure(request) else 'http'}://{request.host}"

    def require_own(self, request: web.BaseRequest) -> None:
        """Raises RequestError 403 for a write that a page of somebody else has a browser send."""
        if request.method in _READS:
            return
        site = request.headers.get("Sec-Fetch-Site")
        origin = request.headers.get("Origin")
        if site is None and origin is None:
            return
        if not (site in _OWN if site is not None else self._is_own(request, origin or "")):
            message = "What changes something is taken from Postmeter's own pages, not from another site's."
            raise RequestError(403, "FORBIDDEN", message)

    def _is_own(self, request: web.BaseRequest, origin: str) -> bool:
        scheme, _, host = origin.lower().partition("://")
        if self._public == (scheme, host):
            return True
        # A page of the same name without https may be anybody's who is on the way.
        return host != "" and host == request.host.lower() and (scheme == "https" or not self.is_secure(request))
