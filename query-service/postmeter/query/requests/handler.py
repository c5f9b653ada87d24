"""What a handler is given: the request and what its caller may see, and a clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from postmeter.query.engine.query import Scope
from postmeter.shared.auth.principal import Principal

Clock = Callable[[], datetime]
"""The present moment, in UTC; injected, so that a test can say when it is."""


def system_clock() -> datetime:
    """The real present moment."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Asked:
    """One request. scope: what its caller may see; nothing at a public endpoint. read: returns its body."""

    request: web.Request
    principal: Principal
    scope: Scope
    read: Callable[[], Awaitable[bytes]]


Handler = Callable[[Asked], Awaitable[web.StreamResponse]]
