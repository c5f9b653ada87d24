"""Certificates that SNS signs with: each fetched once, bounded in time and size, and kept while it is valid."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import aiohttp
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from postmeter.shared.errors import Unavailable
from postmeter.shared.process import logs
from postmeter.tracking.webhooks.provider import refused

FETCH_SECONDS = 5.0
MAX_BYTES = 65_536
REMEMBERED = 32
AT_ONCE, OF_ONE = 8, 2
"""Fetches in flight, in all and for one workspace: forged messages can name any number of certificates."""
Fetch = Callable[[str], Awaitable[bytes]]


async def fetch(url: str) -> bytes:
    """What an address of SNS answers: bounded, in time, without following anywhere else.

    Raises aiohttp.ClientError, OSError or TimeoutError.
    """
    timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
    async with (
        aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
        session.get(url, allow_redirects=False) as answer,
    ):
        if answer.status != 200:
            raise aiohttp.ClientError(f"status {answer.status}")
        body = bytearray()
        async for piece in answer.content.iter_any():
            body += piece
            if len(body) > MAX_BYTES:
                raise aiohttp.ClientError("too large")
        return bytes(body)


outside: Fetch = fetch
"""The way out to SNS; a test puts an outside world of its own here."""
_known: OrderedDict[str, x509.Certificate] = OrderedDict()
_fetching: dict[str, asyncio.Task[x509.Certificate]] = {}
_whose: dict[str, int] = {}
"""Of each that is fetched, the workspace that asked for it first."""


async def key(url: str, workspace: int) -> RSAPublicKey:
    """The key of the certificate at an address that has been checked, for a workspace's message. Raises the refusal, or
    Unavailable.
    """
    certificate = _known.get(url)
    now = datetime.now(UTC)
    if certificate is None or now > certificate.not_valid_after_utc:
        certificate = await _fetched(url, workspace)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise refused("The signing certificate is not valid now.")
    found = certificate.public_key()
    if not isinstance(found, RSAPublicKey):
        raise refused("The signing certificate holds no RSA key.")
    return found


async def _fetched(url: str, workspace: int) -> x509.Certificate:
    """The certificate, asked for once however many messages wait for it."""
    task = _fetching.get(url)
    if task is None:
        own = sum(whose == workspace for whose in _whose.values())
        if len(_fetching) >= AT_ONCE or own >= OF_ONE:
            raise Unavailable("Too many signing certificates are asked for; try again.")
        task = _fetching[url] = asyncio.create_task(_fetch_certificate(url))
        _whose[url] = workspace
        task.add_done_callback(lambda _: _forget(url))
    try:
        return await asyncio.shield(task)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        logs.get().error("SNS certificate not read", url=url, error=logs.words(error))
        raise Unavailable("The signing certificate cannot be read now; try again.") from None
    except (ValueError, UnsupportedAlgorithm):
        raise refused("At the address of the signing certificate there is no certificate.") from None


def _forget(url: str) -> None:
    _fetching.pop(url, None)
    _whose.pop(url, None)


async def _fetch_certificate(url: str) -> x509.Certificate:
    async with asyncio.timeout(FETCH_SECONDS):
        certificate = x509.load_pem_x509_certificate(await outside(url))
    _known[url] = certificate
    if len(_known) > REMEMBERED:
        _known.popitem(last=False)
    return certificate
