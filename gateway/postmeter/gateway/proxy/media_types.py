"""The media type that a caller gives for a body."""

from __future__ import annotations

from aiohttp import web

from postmeter.shared.apis.endpoint import ANY_MEDIA, Endpoint
from postmeter.shared.errors import RequestError

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
