"""An account at each email provider that calls webhooks: the events that it tells, as it packs and signs them."""

import base64
import hashlib
import hmac
import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.webhooks import mailgun, postmark, resend, sendgrid, ses, sparkpost
from tests.webhooks.deliveries import Headers, raw
from tests.webhooks.signatures import SendGridSigner, basic, mailgun_signature, svix_headers
from tests.webhooks.sns import Sns

Call = tuple[bytes, Headers]
"""A delivery's body and headers."""
Told = dict[str, Any]
TO = "ada@mail.example"


def now() -> float:
    return datetime.now(UTC).timestamp()


def moment() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True)
class Source:
    """A webhook as its account is told: its URL and its secret."""

    url: str
    secret: str

    @property
    def id(self) -> str:
        return self.url.rpartition("/")[2]


class Account:
    """An account. secret: of the provider's making; empty: ours. batches: whether one body carries a flat list.
    signs_within: whether the signature stands in the body, where what is refused is not told by headers.
    """

    slug: str
    secret = ""
    options: tuple[str, ...] = ()
    batches = False
    signs_within = False
    media = "application/json"

    def event(self, name: str, theirs: str, ours: str = "") -> Told:
        """An event of now: `delivered`, `opened`, `bounced`, or another by the provider's own name.

        theirs: the provider's id of the message as its send answer gives it. ours: our id, if the sender passed it on.
        """
        raise NotImplementedError

    def pack(self, events: list[Any]) -> list[bytes]:
        """The bodies that carry events."""
        return [raw(event) for event in events]

    def sign(self, secret: str, url: str, body: bytes) -> Headers:
        """The headers of a body that is posted to a URL."""
        return basic(secret)

    def delivered(self, source: Source, theirs: str, ours: str = "") -> Call:
        """A call that tells of a delivery."""
        (body,) = self.pack([self.event("delivered", theirs, ours)])
        return body, self.sign(source.secret, source.url, body)

    def forged(self, call: Call) -> Call:
        """The same call by somebody who has no secret."""
        return call[0].replace(b"ada@", b"eve@"), call[1]


class ByPassword(Account):
    """One whose calls have the password that we made."""

    def forged(self, call: Call) -> Call:
        return call[0], basic("a guess")


class SendGrid(Account):
    slug = "sendgrid"
    batches = True

    def __init__(self) -> None:
        self.signer = SendGridSigner()
        self.secret = self.signer.secret

    def event(self, name: str, theirs: str, ours: str = "") -> Told:
        message, event_id = f"{theirs}.recvd-5f54b5d587-pczjm-1-67BADEEA-6.0", uuid.uuid4().hex
        told = sendgrid.event(
            {"opened": "open", "bounced": "bounce"}.get(name, name), timestamp=int(now()), sg_event_id=event_id
        )
        return told | {"sg_message_id": message, "postmeter_id": ours}

    def pack(self, events: list[Any]) -> list[bytes]:
        return [raw(events)]

    def sign(self, secret: str, url: str, body: bytes) -> Headers:
        return self.signer.headers(body, now())

    def signed(self, events: object) -> Call:
        body = raw(events)
        return body, self.signer.headers(body, now())


class Mailgun(Account):
    slug = "mailgun"
    secret = "signing key of an account"
    signs_within = True

    def event(self, name: str, theirs: str, ours: str = "") -> Told:
        message = {"headers": {"message-id": theirs.strip("<>")}}
        given: Told = {"id": uuid.uuid4().hex, "timestamp": now(), "message": message}
        if name == "bounced":
            given |= {"severity": "permanent", "reason": "bounce", "delivery_status": {"code": 550}}
        kind = "failed" if name == "bounced" else name
        return mailgun.event(kind, **given, user_variables={"postmeter_id": ours})

    def pack(self, events: list[Any]) -> list[bytes]:
        return [self.signed(event)[0] for event in events]

    def sign(self, secret: str, url: str, body: bytes) -> Headers:
        return {"Content-Type": "application/json"}

    def signed(self, data: Told, token: str = "") -> Call:
        signature = mailgun_signature(self.secret, now(), token or uuid.uuid4().hex)
        return raw(mailgun.body(data, signature)), {"Content-Type": "application/json"}

    def forged(self, call: Call) -> Call:
        data = json.loads(call[0])
        data["signature"]["signature"] = "0" * 64
        return raw(data), call[1]


class Postmark(ByPassword):
    slug = "postmark"

    def event(self, name: str, theirs: str, ours: str = "") -> Told:
        told = {
            "delivered": lambda: postmark.record("Delivery", DeliveredAt=moment(), Recipient=TO),
            "opened": lambda: postmark.record("Open", ReceivedAt=moment(), Recipient=TO, FirstOpen=True),
            "bounced": lambda: postmark.bounce("HardBounce") | {"BouncedAt": moment()},
        }[name]()
        return told | {"MessageID": theirs, "Metadata": {"postmeter_id": ours} if ours else {}}


class SparkPost(ByPassword):
    slug = "sparkpost"

    def event(self, name: str, theirs: str, ours: str = "") -> Told:
        kind = {"delivered": "delivery", "opened": "open", "bounced": "bounce"}[name]
        envelope = "track_event" if name == "opened" else "message_event"
        given = {"event_id": uuid.uuid4().hex, "timestamp": str(int(now())), "message_id": theirs, "bounce_class": "10"}
        return sparkpost.event(kind, envelope, **given, rcpt_meta={"postmeter_id": ours} if ours else {})

    def pack(self, events: list[Any]) -> list[bytes]:
        return [raw(events)]


class Resend(Account):
    slug = "resend"
    secret = resend.SECRET

    def event(self, name: str, theirs: str, ours: str = "") -> Told:
        more: Told = {"bounce": {"type": "Permanent", "subType": "General"}} if name == "bounced" else {}
        told = resend.event(f"email.{name}", email_id=theirs, tags={"postmeter_id": ours} if ours else {}, **more)
        return told | {"created_at": moment()}

    def sign(self, secret: str, url: str, body: bytes) -> Headers:
        return svix_headers(secret, body, now(), "msg_" + uuid.uuid4().hex)


class Ses(Account):
    slug = "ses"
    options = (f"topics={Sns.topic}",)
    signs_within = True

    def __init__(self, sns: Sns) -> None:
        self.sns = sns

    def event(self, name: str, theirs: str, ours: str = "") -> Told:
        mail = ses.mail(messageId=theirs, tags={"postmeter_id": [ours]} if ours else {})
        details: Told = {"timestamp": moment(), "recipients": [TO]}
        kind = {"delivered": "Delivery", "opened": "Open", "bounced": "Bounce"}[name]
        return ses.event(kind, ses.BOUNCE | {"timestamp": moment()} if name == "bounced" else details, mail=mail)

    def pack(self, events: list[Any]) -> list[bytes]:
        return [self.signed(event)[0] for event in events]

    def sign(self, secret: str, url: str, body: bytes) -> Headers:
        return {"Content-Type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": "Notification"}

    def signed(self, content: object, kind: str = "Notification", **changes: Any) -> Call:
        message = self.sns.message(content, kind, **{"Timestamp": moment(), **changes})
        return raw(message), {"Content-Type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": kind}


class Mandrill(Account):
    slug = "mandrill"
    secret = "their-key"
    batches = True
    media = "application/x-www-form-urlencoded"

    def event(self, name: str, theirs: str, ours: str = "") -> Told:
        event = {"opened": "open", "bounced": "soft_bounce"}.get(name, name)
        mail = {"_id": theirs, "email": TO, "metadata": {"postmeter_id": ours} if ours else {}}
        return {"event": event, "ts": int(now()), "msg": mail}

    def pack(self, events: list[Any]) -> list[bytes]:
        return [urlencode({"mandrill_events": json.dumps(events)}).encode()]

    def sign(self, secret: str, url: str, body: bytes) -> Headers:
        signed = url + "".join(name + value for name, value in parse_qsl(body.decode("latin-1")))
        mac = base64.b64encode(hmac.new(secret.encode(), signed.encode(), hashlib.sha1).digest()).decode()
        return {"X-Mandrill-Signature": mac, "Content-Type": self.media}

    def forged(self, call: Call) -> Call:
        return call[0].replace(b"ada%40", b"eve%40"), call[1]


class Brevo(ByPassword):
    slug = "brevo"
    batches = True

    def event(self, name: str, theirs: str, ours: str = "") -> Told:
        event = {"opened": "unique_opened", "bounced": "soft_bounce"}.get(name, name)
        told = {"event": event, "ts_epoch": int(now() * 1000), "message-id": f"<{theirs}>", "email": TO}
        return told | ({"X-Mailin-custom": f"postmeter_id:{ours}"} if ours else {})

    def pack(self, events: list[Any]) -> list[bytes]:
        return [raw(events)]


class Mailjet(Brevo):
    slug = "mailjet"

    def event(self, name: str, theirs: str, ours: str = "") -> Told:
        event = {"delivered": "sent", "opened": "open", "bounced": "bounce"}[name]
        return {"event": event, "time": int(now()), "MessageID": theirs, "email": TO} | (
            {"CustomID": ours} if ours else {}
        )


class MailerSend(Account):
    slug = "mailersend"
    secret = "their-secret"

    def event(self, name: str, theirs: str, ours: str = "") -> Told:
        event = "soft_bounced" if name == "bounced" else name
        data: Told = {"id": uuid.uuid4().hex, "message_id": theirs, "recipient": TO, "meta": []}
        data["tags"] = [f"postmeter_id:{ours}"] if ours else []
        return {"type": f"activity.{event}", "created_at": moment(), "data": data}

    def sign(self, secret: str, url: str, body: bytes) -> Headers:
        return {"Signature": _hmac(secret, body)}


class Mailtrap(Account):
    slug = "mailtrap"
    secret = "their-secret"
    batches = True

    def event(self, name: str, theirs: str, ours: str = "") -> Told:
        event = {"delivered": "delivery", "opened": "open", "bounced": "bounce"}[name]
        told = {"event": event, "event_id": uuid.uuid4().hex, "message_id": theirs, "timestamp": int(now())}
        return told | {"email": TO, "custom_variables": {"postmeter_id": ours} if ours else {}}

    def pack(self, events: list[Any]) -> list[bytes]:
        return [b"\n".join(map(raw, events))]

    def sign(self, secret: str, url: str, body: bytes) -> Headers:
        return {"Mailtrap-Signature": _hmac(secret, body)}


class Postal(Account):
    slug = "postal"
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    """Of one installation, whose accounts they all are: to make one takes long."""

    def __init__(self) -> None:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        public = self.key.public_key().public_bytes(serialization.Encoding.DER, form)
        self.secret = base64.b64encode(public).decode()

    def event(self, name: str, theirs: str, ours: str = "") -> Told:
        event = {"delivered": "MessageSent", "opened": "MessageLoaded", "bounced": "MessageBounced"}[name]
        mail = {"token": theirs, "direction": "outgoing", "to": TO, "tag": f"postmeter_id:{ours}" if ours else None}
        holder = "original_message" if name == "bounced" else "message"
        return {"event": event, "timestamp": now(), "uuid": uuid.uuid4().hex, "payload": {holder: mail}}

    def sign(self, secret: str, url: str, body: bytes) -> Headers:
        def signature(algorithm: hashes.HashAlgorithm) -> str:
            return base64.b64encode(self.key.sign(body, padding.PKCS1v15(), algorithm)).decode()

        return {"X-Postal-Signature": signature(hashes.SHA1()), "X-Postal-Signature-256": signature(hashes.SHA256())}


def _hmac(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


WITHOUT_SNS: dict[str, type[Account]] = {
    one.slug: one
    for one in (SendGrid, Mailgun, Postmark, SparkPost, Resend, Mandrill, Brevo, Mailjet, MailerSend, Mailtrap, Postal)
}
SLUGS = sorted([*WITHOUT_SNS, Ses.slug])


def account(slug: str, sns: Sns) -> Account:
    """A new account at a provider; Amazon's tells its events through `sns`."""
    return Ses(sns) if slug == Ses.slug else WITHOUT_SNS[slug]()
