"""Amazon SNS envelopes: their signature, checked with a certificate that comes from SNS and nowhere else.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message-verify-message-signature.html
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from urllib.parse import urlencode

import aiohttp
import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from postmeter.shared import logs
from postmeter.shared.errors import RequestError
from postmeter.tracking.webhooks.provider import refused

FRESH_SECONDS = 6 * 3600.0
"""SNS tries for about an hour with HTTP endpoints' default policy; a subscription's own policy may be longer."""
FETCH_SECONDS = 5.0
MAX_BYTES = 65_536
REMEMBERED = 32
KEEP_SECONDS = 86_400.0
_HOST = r"sns\.[a-z0-9-]{3,32}\.amazonaws\.com(?:\.cn)?"
_CERTIFICATE = re.compile(rf"https://{_HOST}/SimpleNotificationService-[0-9a-f]{{16,64}}\.pem", re.ASCII)
_TOPIC = re.compile(r"arn:aws(?:-cn|-us-gov)?:sns:([a-z0-9-]{3,32}):\d{12}:[A-Za-z0-9_.-]{1,256}", re.ASCII)
Fetch = Callable[[str], Awaitable[bytes]]


class Envelope(msgspec.Struct, rename="pascal"):
    """What SNS posts."""

    type: str
    message_id: str
    topic_arn: str
    message: str
    timestamp: str
    signature: str
    signing_cert_url: str = msgspec.field(name="SigningCertURL")
    signature_version: str = "1"
    subject: str | None = None
    token: str | None = None
    subscribe_url: str | None = msgspec.field(name="SubscribeURL", default=None)


_decoder = msgspec.json.Decoder(Envelope)
_keys: OrderedDict[str, tuple[RSAPublicKey, float]] = OrderedDict()


async def fetch(url: str) -> bytes:
    """What an address of SNS answers: bounded, in time, without following anywhere else."""
    timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
    async with (
        aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
        session.get(url, allow_redirects=False) as answer,
    ):
        if answer.status != 200:
            raise aiohttp.ClientError(f"status {answer.status}")
        body = await answer.content.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise aiohttp.ClientError("too large")
        return body


outside: Fetch = fetch
"""The way out; a test puts the outside world in its place."""


def envelope_of(body: bytes) -> Envelope:
    """The envelope. Raises RequestError 400 for what is none."""
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(400, "INVALID_JSON", f"This is no message of SNS: {error}") from None


async def verify(envelope: Envelope, topics: Sequence[str], now: float) -> None:
    """Raise the refusal of a message that SNS did not sign, of another topic, or that is old."""
    if envelope.topic_arn not in topics or not _TOPIC.fullmatch(envelope.topic_arn):
        raise refused("The topic is not among the source's `topics`.")
    if not _CERTIFICATE.fullmatch(envelope.signing_cert_url):
        raise refused("The signing certificate is not at an address of SNS.")
    key = await _key(envelope.signing_cert_url)
    try:
        signature = base64.b64decode(envelope.signature, validate=True)
        algorithm = {"1": SHA1(), "2": SHA256()}[envelope.signature_version]
        key.verify(signature, _signed(envelope), PKCS1v15(), algorithm)
    except (binascii.Error, KeyError, InvalidSignature):
        raise refused("The signature is not one of SNS.") from None
    try:
        signatures_age = abs(now - datetime.fromisoformat(envelope.timestamp).timestamp())
    except ValueError:
        raise refused("The signed timestamp is no time.") from None
    if signatures_age > FRESH_SECONDS:
        raise refused("The signed timestamp is too old or too new.")


async def confirm(envelope: Envelope) -> None:
    """Confirm a verified subscription, at an address made from the topic's region: never at the message's own."""
    match = _TOPIC.fullmatch(envelope.topic_arn)
    if match is None or not envelope.token:
        raise refused("The confirmation has no token.")
    region = match.group(1)
    suffix = ".cn" if region.startswith("cn-") else ""
    query = urlencode({"Action": "ConfirmSubscription", "TopicArn": envelope.topic_arn, "Token": envelope.token})
    try:
        await outside(f"https://sns.{region}.amazonaws.com{suffix}/?{query}")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        logs.get().error("SNS subscription not confirmed", topic=envelope.topic_arn, error=repr(error))
        raise RequestError(503, "UNAVAILABLE", "The subscription could not be confirmed; try again.") from None


def _signed(envelope: Envelope) -> bytes:
    """The text that SNS signs: names and values on lines of their own, in this order, absent ones left out."""
    pairs = [("Message", envelope.message), ("MessageId", envelope.message_id)]
    if envelope.type == "Notification":
        pairs += [("Subject", envelope.subject)] if envelope.subject is not None else []
    else:
        pairs += [
            ("SubscribeURL", envelope.subscribe_url or ""),
        ]
    pairs.append(("Timestamp", envelope.timestamp))
    if envelope.type != "Notification":
        pairs.append(("Token", envelope.token or ""))
    pairs += [("TopicArn", envelope.topic_arn), ("Type", envelope.type)]
    return "".join(f"{name}\n{value}\n" for name, value in pairs).encode("utf-8", "surrogateescape")


async def _key(url: str) -> RSAPublicKey:
    known = _keys.get(url)
    if known is not None and time.monotonic() - known[1] < KEEP_SECONDS:
        return known[0]
    try:
        async with asyncio.timeout(FETCH_SECONDS):
            key = x509.load_pem_x509_certificate(await outside(url)).public_key()
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        logs.get().error("SNS certificate not read", url=url, error=repr(error))
        raise RequestError(503, "UNAVAILABLE", "The signing certificate cannot be read now; try again.") from None
    if not isinstance(key, RSAPublicKey):
        raise refused("The signing certificate holds no RSA key.")
    _keys[url] = (key, time.monotonic())
    if len(_keys) > REMEMBERED:
        _keys.popitem(last=False)
    return key
