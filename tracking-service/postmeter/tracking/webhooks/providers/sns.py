"""Amazon SNS messages: their signature, checked with a certificate that comes from SNS and nowhere else.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message-verify-message-signature.html
Signature version 1 is RSA over SHA-1, version 2 over SHA-256, both over the same text.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from urllib.parse import urlencode

import aiohttp
import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from postmeter.shared.errors import RequestError, Unavailable
from postmeter.shared.process import logs
from postmeter.shared.text import quoting
from postmeter.tracking.webhooks import moments
from postmeter.tracking.webhooks.provider import refused
from postmeter.tracking.webhooks.providers import sns_certificates

FRESH_SECONDS = 2 * 3600.0
"""A delivery policy of SNS may try for an hour in all; the timestamp is that of the publishing."""
_TOPIC = re.compile(
    r"arn:aws(?:-cn|-us-gov)?:sns:([a-z]{2,4}(?:-[a-z]{2,12}){1,3}-\d{1,2}):\d{12}:[A-Za-z0-9_.-]{1,256}", re.ASCII
)
_CERTIFICATE = re.compile(r"/SimpleNotificationService-[0-9a-f]{16,64}\.pem", re.ASCII)
_HASHES = {"1": SHA1, "2": SHA256}
_TYPES = frozenset({"Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"})


class Message(msgspec.Struct, rename="pascal"):
    """What SNS posts."""

    type: str
    message_id: str
    topic_arn: str
    message: str
    timestamp: str
    signature: str
    signature_version: str
    signing_cert_url: str = msgspec.field(name="SigningCertURL")
    subject: str | None = None
    token: str | None = None
    subscribe_url: str | None = msgspec.field(name="SubscribeURL", default=None)


_decoder = msgspec.json.Decoder(Message)


def message_of(body: bytes) -> Message:
    """The message. Raises RequestError 400 for what is not one."""
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(400, "INVALID_JSON", f"This is not a message of SNS: {error}") from None


def require_topic(topic: str, topics: Sequence[str]) -> str:
    """The host of SNS in a topic's region. Raises the refusal of a topic that is not among `topics`."""
    if topic not in topics:
        raise refused("The topic is not among the source's `topics`.")
    return host_of(topic)


def host_of(topic: str) -> str:
    """The host of SNS in a topic's region. Raises the refusal of what is not a topic's ARN: it could name any host."""
    match = _TOPIC.fullmatch(topic)
    if match is None:
        raise refused(f"This is not a topic's ARN (arn:aws:sns:REGION:ACCOUNT:NAME): {quoting.quoted(topic)}")
    region = match.group(1)
    return f"sns.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")


async def verify(message: Message, topics: Sequence[str], workspace: int, now: float) -> None:
    """Raise the refusal of a message to a workspace that SNS did not sign, of another topic, or that is old.

    Nothing is fetched before the topic is known to be the owner's, and then only from SNS in that topic's region:
    an address in the message says which certificate, never which host. Raises RequestError 503 while it cannot be
    fetched.
    """
    host = require_topic(message.topic_arn, topics)
    path = message.signing_cert_url.removeprefix(f"https://{host}")
    if path == message.signing_cert_url or not _CERTIFICATE.fullmatch(path):
        raise refused("The signing certificate is not at the address of SNS in the topic's region.")
    if message.type not in _TYPES:
        # What is signed joins its fields by line ends, so that a type with more lines could be part of another topic's.
        raise refused("The message is of an unknown type.")
    if message.signature_version not in _HASHES:
        raise refused("The signature is of an unknown version.")
    key = await sns_certificates.key(f"https://{host}{path}", workspace)
    try:
        signature = base64.b64decode(message.signature, validate=True)
        key.verify(signature, signed_text(message), PKCS1v15(), _HASHES[message.signature_version]())
    except (binascii.Error, ValueError, InvalidSignature):
        raise refused("The signature is not one of SNS.") from None
    at = moments.of(message.timestamp)
    if not isinstance(at, int) or abs(now - at / 1_000_000) > FRESH_SECONDS:
        raise refused("The signed timestamp is too old or too new.")


async def confirm(message: Message, topics: Sequence[str]) -> None:
    """Confirm a verified subscription at an address made here; the message's own SubscribeURL is never fetched."""
    host = require_topic(message.topic_arn, topics)
    if not message.token:
        raise refused("The confirmation has no token.")
    query = urlencode({"Action": "ConfirmSubscription", "TopicArn": message.topic_arn, "Token": message.token})
    try:
        await sns_certificates.outside(f"https://{host}/?{query}")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        logs.get().error("SNS subscription not confirmed", topic=message.topic_arn, error=logs.words(error))
        raise Unavailable("The subscription could not be confirmed; try again.") from None


def signed_text(message: Message) -> bytes:
    """What SNS signs: names and values on lines of their own, in this order; a subject only where there is one."""
    pairs = [("Message", message.message), ("MessageId", message.message_id)]
    if message.type == "Notification":
        if message.subject is not None:
            pairs.append(("Subject", message.subject))
        pairs.append(("Timestamp", message.timestamp))
    else:
        pairs.append(("SubscribeURL", message.subscribe_url or ""))
        pairs.append(("Timestamp", message.timestamp))
        pairs.append(("Token", message.token or ""))
    pairs += [("TopicArn", message.topic_arn), ("Type", message.type)]
    return "".join(f"{name}\n{value}\n" for name, value in pairs).encode("utf-8", "surrogateescape")
