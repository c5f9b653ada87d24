"""Amazon SNS as it signs what it posts, with a topic, a key and a certificate of the tests' own."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from tests.webhooks.deliveries import NOW


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
