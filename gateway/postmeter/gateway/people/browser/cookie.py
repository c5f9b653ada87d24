"""Cookies that carry bearer tokens.

Another host of our domain may set a cookie of any name for ours, too (RFC 6265, 8.6): one that fixes a session, or one
that stands in the way of ours. Where people come over https our names begin with `__Host-`, which browsers take from
this host alone, and no other name counts. Over http nothing of that kind is to be had, so several may come, and who
reads them judges each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from aiohttp import web

MOST = 10
"""Different values of one name that are looked at."""
_HOST_ALONE = "__Host-"
_HOST = re.compile(r"[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cookie:
    """One of our cookies. is_secure, in each method: people come over https."""

    plain: str

    def name(self, *, is_secure: bool) -> str:
        """What it is called."""
        return _HOST_ALONE + self.plain if is_secure else self.plain

    def values(self, request: web.BaseRequest, *, is_secure: bool) -> list[str]:
        """The values that came, each once, MOST at most."""
        return _values(request, self.name(is_secure=is_secure))

    def all_values(self, request: web.BaseRequest) -> list[str]:
        """Those of every name that it has: what is to be ended."""
        return list(dict.fromkeys(_values(request, _HOST_ALONE + self.plain) + _values(request, self.plain)))

    def give(self, response: web.Response, value: str, lifetime: timedelta, *, is_secure: bool) -> None:
        """Have the browser keep it, for https only where people come so."""
        name, seconds = self.name(is_secure=is_secure), int(lifetime.total_seconds())
        response.set_cookie(name, value, max_age=seconds, path="/", httponly=True, samesite="Lax", secure=is_secure)

    def take(self, response: web.Response, request: web.BaseRequest, *, is_secure: bool) -> None:
        """Have the browser forget it; what another host has set, too, as far as its place can be guessed."""
        name = self.name(is_secure=is_secure)
        response.del_cookie(name, path="/", httponly=True, samesite="Lax", secure=is_secure)
        if len(self.all_values(request)) > 1:
            for domain in _domains(request.host):
                forgotten = f"{self.plain}=; Domain={domain}; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"
                response.headers.add("Set-Cookie", forgotten)


SESSION = Cookie("postmeter_session")
"""The token of a session."""
OIDC = Cookie("postmeter_oidc")
"""What a sign-in at a provider began with."""


def _values(request: web.BaseRequest, wanted: str) -> list[str]:
    found: dict[str, None] = {}
    for header in request.headers.getall("Cookie", ()):
        for pair in header.split(";"):
            name, _, value = pair.strip().partition("=")
            if name == wanted and len(found) < MOST:
                found[value] = None
    return list(found)


def _domains(host: str) -> list[str]:
    """The host's name and those above it that cookies can be set for; none for an address."""
    name = host.rpartition(":")[0].lower() if ":" in host else host.lower()
    labels = name.split(".")
    if not _HOST.fullmatch(name) or labels[-1].isdigit():
        return []
    return [".".join(labels[depth:]) for depth in range(len(labels) - 1)]
