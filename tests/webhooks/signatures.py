"""The schemes by which providers sign what they deliver, with keys of the tests' own."""

import base64
import hashlib
import hmac

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.webhooks.deliveries import NOW, Headers


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
