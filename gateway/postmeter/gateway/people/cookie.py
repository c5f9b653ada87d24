"""The cookie that carries a session's token."""

from __future__ import annotations

from datetime import timedelta

from aiohttp import web

NAME = "postmeter_session"


def read(request: web.BaseRequest, wanted: str = NAME) -> str | None:
    """The value of a cookie; None without one.

    Several different ones are none that is known: another host of our domain may have set one of them, and nothing
    tells which (RFC 6265, 8.6).
    """
    found = set()
    for header in request.headers.getall("Cookie", ()):
        for pair in header.split(";"):
            name, _, value = pair.strip().partition("=")
            if name == wanted:
                found.add(value)
    return None if not found else found.pop() if len(found) == 1 else ""


def give(response: web.Response, token: str, lifetime: timedelta, *, is_secure: bool) -> None:
    """Have the browser keep a session's token. is_secure: for https only."""
    response.set_cookie(
        NAME,
        token,
        max_age=int(lifetime.total_seconds()),
        path="/",
        httponly=True,
        samesite="Lax",
        secure=is_secure,
    )


def take(response: web.Response) -> None:
    """Have the browser forget it."""
    response.del_cookie(NAME, path="/", httponly=True, samesite="Lax")
