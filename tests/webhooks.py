"""Deliveries of email providers as they make them: signed by their schemes with keys of the tests' own."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from multidict import CIMultiDict

from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import RequestError
from postmeter.tracking.webhooks.delivery import Delivery, WebhookSource
from postmeter.tracking.webhooks.provider import Provider
from postmeter.tracking.webhooks.reading import Reading

NOW = 1_790_000_000
"""When deliveries of the unit tests come, in Unix seconds."""
OUR_ID = "0192abc0-def1-7000-8000-00000000000a"
Headers = dict[str, str]


def raw(payload: object) -> bytes:
    """Bytes as they are, anything else as JSON."""
    return payload if isinstance(payload, bytes) else json.dumps(payload).encode()


def delivery(body: object, headers: Mapping[str, str] | None = None, now: float = NOW) -> Delivery:
    return Delivery(
        raw(body), CIMultiDict(headers or {}), "https://gateway.example/v1/webhooks/x/y", round(now * 1_000_000)
    )


def source(provider: str, secret: str, **options: str) -> WebhookSource:
    return WebhookSource("src_00000000000000000000", 1, provider, Secret(secret), options)


def readings(provider: Provider, body: object) -> list[Reading]:
    """What a delivery says, without its signature."""
    return [found for item in provider.items(delivery(body)) for found in provider.read(item)]


def reading(provider: Provider, body: object) -> Reading:
    (found,) = readings(provider, body)
    return found


async def refusal(provider: Provider, given: Delivery, of: WebhookSource) -> str:
    """Why a delivery is refused; fails unless it is by 401."""
    with pytest.raises(RequestError) as caught:
        await provider.verify(given, of)
    assert caught.value.status == 401
    assert not of.secret.reveal() or of.secret.reveal() not in caught.value.message
    return caught.value.message


def micros(text: str) -> int:
    """Microseconds since 1970 of an ISO 8601 time with zone."""
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def basic(password: str, user: str = "postmeter") -> Headers:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


class SendGridSigner:
    """An account's key pair of the Signed Event Webhook."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = self._key.public_key()
        encoded = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.secret = base64.b64encode(encoded).decode()

    def headers(self, body: bytes, now: float = NOW) -> Headers:
        timestamp = str(int(now))
        signature = self._key.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        return {
            "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
        }


def mailgun_signature(key: str, now: float = NOW, token: str = "t" * 50) -> dict[str, str]:
    """The object that stands in a body of Mailgun's."""
    timestamp = str(int(now))
    digest = hmac.new(key.encode(), (timestamp + token).encode(), hashlib.sha256).hexdigest()
    return {"timestamp": timestamp, "token": token, "signature": digest}


def svix_headers(secret: str, body: bytes, now: float = NOW, message: str = "msg_2b") -> Headers:
    """Standard Webhooks as Svix names their headers; `secret` is `whsec_` and base64."""
    signed = f"{message}.{int(now)}.".encode() + body
    digest = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    return {
        "svix-id": message,
        "svix-timestamp": str(int(now)),
        "svix-signature": "v1," + base64.b64encode(digest).decode(),
    }


class Sns:
    """Amazon SNS with a topic, a key and a certificate of its own; `fetch` is what it answers to requests."""

    region = "eu-west-1"
    topic = f"arn:aws:sns:{region}:123456789012:mail-events"
    host = f"https://sns.{region}.amazonaws.com"
    certificate_url = f"{host}/SimpleNotificationService-{'0a' * 16}.pem"

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.certificate = self.certified(timedelta(days=30))
        self.asked: list[str] = []

    def certified(self, valid: timedelta) -> bytes:
        """A certificate of its key that ends `valid` from now."""
        return certificate(self._key, valid)

    async def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        return self.certificate

    def message(self, text: object, kind: str = "Notification", version: str = "2", **changes: Any) -> dict[str, Any]:
        """What SNS posts; `changes` are made before it is signed."""
        found = self.unsigned(text, kind, version)
        if kind == "Notification":
            found["Subject"] = "Amazon SES Email Event Notification"
            found["UnsubscribeURL"] = f"{self.host}/?Action=Unsubscribe"
        else:
            found["Token"] = "2336412f37fb687f5d51e6e2425e90ccf"
            found["SubscribeURL"] = f"{self.host}/?Action=ConfirmSubscription&from=the-message"
        found |= changes
        return found | {"Signature": self.sign({k: v for k, v in found.items() if v is not None}, version)}

    @classmethod
    def unsigned(cls, text: object = "", kind: str = "Notification", version: str = "2") -> dict[str, Any]:
        """What every message has, with a signature that nobody made."""
        return {
            "Type": kind,
            "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
            "TopicArn": cls.topic,
            "Message": text if isinstance(text, str) else json.dumps(text),
            "Timestamp": datetime.fromtimestamp(NOW, UTC).strftime("%Y-%m-%dT%H:%M:%S.123Z"),
            "SignatureVersion": version,
            "SigningCertURL": cls.certificate_url,
            "Signature": "AAAA",
        }

    def sign(self, message: dict[str, Any], version: str = "2") -> str:
        names = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
        signed = "".join(f"{name}\n{message[name]}\n" for name in names if name in message)
        algorithm = hashes.SHA1() if version == "1" else hashes.SHA256()
        return base64.b64encode(self._key.sign(signed.encode(), padding.PKCS1v15(), algorithm)).decode()


def certificate(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, valid: timedelta) -> bytes:
    """A self-signed certificate that ends `valid` from now."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    end = datetime.now(UTC) + valid
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(end - timedelta(days=365))
        .not_valid_after(end)
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM)
