"""What the gateway does for services that a test asks without it: a principal, sealed for each request on its own."""

from collections.abc import Mapping

import aiohttp
import msgspec

from postmeter.shared.auth import principal, sealed
from postmeter.shared.auth.principal import Principal
from postmeter.shared.auth.secret import Secret

INTERNAL = Secret("internal secret of the tests")


def named(who: Principal) -> dict[str, str]:
    """Who asks, in a header that `session` and `line` seal for each request that carries it."""
    return {principal.HEADER: msgspec.json.encode(who).decode()}


def value(text: str, method: str, target: str) -> str:
    """The header's value for one request; what is not a principal of `named` stays as it is."""
    if not text.startswith("{"):
        return text
    who = msgspec.json.decode(text, type=Principal)
    return sealed.seal(principal.HEADER, who, INTERNAL, method, target)


def line(header: str, method: str, target: str) -> str:
    """The same for a whole header line; others stay as they are."""
    name, _, text = header.partition(": ")
    return f"{name}: {value(text, method, target)}" if name == principal.HEADER else header


async def _seal(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    if principal.HEADER in request.headers:
        text = request.headers[principal.HEADER]
        request.headers[principal.HEADER] = value(text, request.method, request.url.raw_path_qs)
    return await send(request)


def session(connector: aiohttp.BaseConnector | None = None) -> aiohttp.ClientSession:
    """A client that seals what `named` has named."""
    return aiohttp.ClientSession(connector=connector, middlewares=(_seal,))


def opened(headers: Mapping[str, str], method: str, target: str) -> Principal:
    """The principal of a request as a service reads it."""
    return sealed.Seals(INTERNAL).open(principal.HEADER, Principal, headers, method, target)
