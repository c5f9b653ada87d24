"""Whether a service that the gateway needs answers at its URL, and not another one, nor the gateway itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from postmeter.shared.apis.endpoint import Service
from postmeter.shared.apis.people import session
from postmeter.shared.errors import PostmeterError

KNOWN = {Service.TRACKING: "/v1/events", Service.QUERY: "/v1/metrics"}
"""A path that this service knows, in every version, and the other one does not."""
OURS = session.PATH
"""One that a gateway knows, beside all of the services', and no service does."""
ALLOWED = {"HEAD", *(endpoint.method for endpoint in session.ENDPOINTS if endpoint.path == OURS)}
"""What a gateway's answer to OPTIONS of it says that it takes."""
UNKNOWN, REFUSED = b"404", b"405"
"""What services and gateways answer OPTIONS of a path that they do not know, and of one that they know. Some proxies
before a service answer it by themselves, of every path.
"""


class WrongService(PostmeterError):
    """Something else answers at the URL of a service."""


async def check(service: Service, url: str) -> None:
    """Raise OSError where nobody is there, WrongService where somebody else is; wait where nobody answers."""
    knows, is_gateway = await asyncio.gather(_knows(url, KNOWN[service]), _is_gateway(url))
    if not knows:
        raise WrongService(
            f"what answers at POSTMETER_{service.upper()}_URL is not {service}-service: it does not know"
            f" {KNOWN[service]}. Are POSTMETER_TRACKING_URL and POSTMETER_QUERY_URL exchanged?"
        )
    if is_gateway:
        raise WrongService(
            f"what answers at POSTMETER_{service.upper()}_URL is a gateway: it knows {OURS}, and {service}-service does"
            " not. What a gateway passes on to itself never ends"
        )


async def _knows(url: str, path: str) -> bool:
    """Whether what answers there knows a path, for all that it says."""
    async with _asked(url, path) as (status, _):
        return UNKNOWN not in status


async def _is_gateway(url: str) -> bool:
    """Whether what answers there says what only a gateway does."""
    async with _asked(url, OURS) as (status, headers):
        if REFUSED not in status:
            return False
        while (line := await headers.readline()).strip():
            name, _, value = line.decode("latin-1").partition(":")
            if name.lower() == "allow":
                return {method.strip() for method in value.split(",")} == ALLOWED
    return False


@asynccontextmanager
async def _asked(url: str, path: str) -> AsyncIterator[tuple[bytes, asyncio.StreamReader]]:
    """The status line of the answer to OPTIONS, and what comes after it. Raises OSError where nobody is there."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    try:
        target = parts.path.rstrip("/") + path
        writer.write(f"OPTIONS {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        status = await reader.readline()
        if not status:
            raise ConnectionError("the connection was closed without an answer")
        yield status, reader
    finally:
        writer.close()
