"""Whether a service that the gateway needs answers at its URL, and not another one, nor the gateway itself."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from postmeter.shared.apis.endpoint import Service
from postmeter.shared.apis.people import session
from postmeter.shared.errors import PostmeterError

KNOWN = {Service.TRACKING: "/v1/events", Service.QUERY: "/v1/metrics"}
"""A path that this service knows, in every version, and the other one does not."""
OURS = session.PATH
"""One that a gateway knows, beside all of the services', and no service does."""
UNKNOWN = b"404"
"""What a service answers OPTIONS of a path that it does not know; of one that it knows it answers 405."""


class WrongService(PostmeterError):
    """Something else answers at the URL of a service."""


async def check(service: Service, url: str) -> None:
    """Raise OSError where nobody is there, WrongService where somebody else is; wait where nobody answers."""
    knows, is_gateway = await asyncio.gather(_knows(url, KNOWN[service]), _knows(url, OURS))
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
    """Whether what answers there knows a path. Raises OSError where nobody is there."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    try:
        target = parts.path.rstrip("/") + path
        writer.write(f"OPTIONS {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.readline()
    finally:
        writer.close()
    if not answer:
        raise ConnectionError("the connection was closed without an answer")
    return UNKNOWN not in answer
