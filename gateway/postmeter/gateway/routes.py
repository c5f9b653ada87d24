"""The endpoint table as a router: raw path and method to endpoint, nothing decoded, nothing normalised.

And whether a body is of a media type that the endpoint takes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from postmeter.shared.apis.endpoint import ANY_MEDIA, Endpoint
from postmeter.shared.apis.pages import PAGES
from postmeter.shared.apis.table import ENDPOINTS
from postmeter.shared.auth.principal import Principal
from postmeter.shared.errors import RequestError

Handler = Callable[[web.BaseRequest, Principal | None, bytes], Awaitable[web.Response]]
"""What answers an endpoint of the gateway itself: from the request, who asks (None where anybody may), and the body."""


class Routes:
    """Which endpoint a request is for."""

    def __init__(self, endpoints: tuple[Endpoint, ...] = ENDPOINTS + PAGES) -> None:
        self._exact: dict[str, dict[str, Endpoint]] = {}
        self._templates: dict[int, list[tuple[list[str], dict[str, Endpoint]]]] = {}
        """By the number of segments."""
        templates: dict[str, dict[str, Endpoint]] = {}
        for endpoint in endpoints:
            table = templates if "{" in endpoint.path else self._exact
            table.setdefault(endpoint.path, {})[endpoint.method] = endpoint
        for path, methods in templates.items():
            segments = path.split("/")
            self._templates.setdefault(len(segments), []).append((segments, methods))

    def find(self, method: str, path: str) -> Endpoint:
        """The endpoint; HEAD goes where GET goes. Raises RequestError 404 or 405."""
        methods = self._exact.get(path) or self._at_template(path)
        if methods is None:
            raise RequestError(404, "NOT_FOUND", "There is nothing at this path.")
        endpoint = methods.get("GET" if method == "HEAD" else method)
        if endpoint is None:
            allowed = ", ".join(sorted({*methods, *(["HEAD"] if "GET" in methods else [])}))
            raise RequestError(405, "METHOD_NOT_ALLOWED", f"This path takes {allowed}.", None, {"Allow": allowed})
        return endpoint

    def _at_template(self, path: str) -> dict[str, Endpoint] | None:
        given = path.split("/")
        for segments, methods in self._templates.get(len(given), []):
            if all(map(_fits, segments, given)):
                return methods
        return None


def _fits(segment: str, given: str) -> bool:
    """A placeholder takes any text but the empty one."""
    return segment == given or (segment.startswith("{") and given != "")


_UNSAID = ("", "application/octet-stream", "application/x-www-form-urlencoded")
"""What clients send when nobody gave them a media type: nothing, bytes, or curl's and urllib's default."""


def require_media(request: web.BaseRequest, endpoint: Endpoint) -> None:
    """Raises RequestError 415 where the caller says that the body is something else than the endpoint takes."""
    given = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if endpoint.body is None or ANY_MEDIA in endpoint.body_media:
        return
    if given in _UNSAID or given in endpoint.body_media or given.endswith("+json"):
        return
    taken = " or ".join(endpoint.body_media[:2])
    raise RequestError(415, "UNSUPPORTED_MEDIA_TYPE", f"Send the body as {taken}, and say so in Content-Type.")
