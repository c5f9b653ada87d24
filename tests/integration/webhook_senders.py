"""Mandrill, Brevo, Mailjet, MailerSend, Mailtrap and Postal as they call a webhook, and a webhook all the way."""

import asyncio
import base64
import hashlib
import hmac
import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import aiohttp
from click.testing import CliRunner
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from postmeter.cli.main import main
from postmeter.shared.events import EventType
from tests.aggregation import AT, SECOND, Bench, bench, message, registration
from tests.integration.gateway_world import gateway
from tests.integration.tracking_service import Service
from tests.webhooks import Headers, basic

BASE = "https://api.example.com"
SOURCE_KEY = "source-key-of-this-test"
SECONDS = AT // SECOND + 3600
TO = "reader@example.org"
MESSAGES = (1, 2)
Told = dict[str, Any]
_POSTAL_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(frozen=True)
class Sender:
    """A provider. secret: of its making; None: ours. event: (name, our id, number) as the provider tells it. pack: the
    bodies that carry such events. sign: (secret, url, body) to the headers. many: one body may carry many.
    """

    slug: str
    secret: str | None
    event: Callable[[str, str, int], Told]
    pack: Callable[[list[Any]], list[bytes]]
    sign: Callable[[str, str, bytes], Headers]
    many: bool


def _mandrill(name: str, ours: str, n: int) -> Told:
    event = {"delivered": "delivered", "opened": "open", "bounced": "soft_bounce"}[name]
    return {"event": event, "ts": SECONDS, "msg": {"_id": f"m{n}", "email": TO, "metadata": {"postmeter_id": ours}}}


def _mandrill_form(events: list[Any]) -> list[bytes]:
    return [urlencode({"mandrill_events": json.dumps(events)}).encode()]


def _mandrill_signature(secret: str, url: str, body: bytes) -> Headers:
    signed = url + "".join(name + value for name, value in parse_qsl(body.decode("latin-1")))
    mac = base64.b64encode(hmac.new(secret.encode(), signed.encode(), hashlib.sha1).digest()).decode()
    return {"X-Mandrill-Signature": mac, "Content-Type": "application/x-www-form-urlencoded"}


def _brevo(name: str, ours: str, n: int) -> Told:
    event = {"delivered": "delivered", "opened": "unique_opened", "bounced": "soft_bounce"}[name]
    told = {"event": event, "ts_epoch": SECONDS * 1000, "message-id": f"<b{n}@relay>", "email": TO}
    return told | {"X-Mailin-custom": f"postmeter_id:{ours}"}


def _mailjet(name: str, ours: str, n: int) -> Told:
    event = {"delivered": "sent", "opened": "open", "bounced": "bounce"}[name]
    return {"event": event, "time": SECONDS, "MessageID": 7 + n, "email": TO, "CustomID": ours}


def _mailersend(name: str, ours: str, n: int) -> Told:
    event = {"delivered": "delivered", "opened": "opened", "bounced": "soft_bounced"}[name]
    at = f"{datetime.fromtimestamp(SECONDS, UTC):%Y-%m-%dT%H:%M:%S}.000000Z"
    data = {"id": f"e{n}{name}", "message_id": f"s{n}", "recipient": TO, "meta": [], "tags": [f"postmeter_id:{ours}"]}
    return {"type": f"activity.{event}", "created_at": at, "data": data}


def _mailtrap(name: str, ours: str, n: int) -> Told:
    event = {"delivered": "delivery", "opened": "open", "bounced": "bounce"}[name]
    told = {"event": event, "event_id": f"t{n}{name}", "message_id": f"t{n}", "timestamp": SECONDS, "email": TO}
    return told | {"custom_variables": {"postmeter_id": ours}}


def _postal(name: str, ours: str, n: int) -> Told:
    event = {"delivered": "MessageSent", "opened": "MessageLoaded", "bounced": "MessageBounced"}[name]
    mail = {"token": f"p{n}", "direction": "outgoing", "to": TO, "tag": f"postmeter_id:{ours}"}
    holder = "original_message" if name == "bounced" else "message"
    return {"event": event, "timestamp": SECONDS + 0.5, "uuid": f"u{n}{name}", "payload": {holder: mail}}


def _postal_public() -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return base64.b64encode(_POSTAL_KEY.public_key().public_bytes(serialization.Encoding.DER, form)).decode()


def _postal_signature(secret: str, url: str, body: bytes) -> Headers:
    def sign(algorithm: hashes.HashAlgorithm) -> str:
        return base64.b64encode(_POSTAL_KEY.sign(body, padding.PKCS1v15(), algorithm)).decode()

    return {"X-Postal-Signature": sign(hashes.SHA1()), "X-Postal-Signature-256": sign(hashes.SHA256())}


def _hmac_in(name: str) -> Callable[[str, str, bytes], Headers]:
    return lambda secret, url, body: {name: hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def _password(secret: str, url: str, body: bytes) -> Headers:
    return basic(secret)


def _one_each(events: list[Any]) -> list[bytes]:
    return [json.dumps(event).encode() for event in events]


def _list(events: list[Any]) -> list[bytes]:
    return [json.dumps(events).encode()]


def _lines(events: list[Any]) -> list[bytes]:
    return [b"\n".join(_one_each(events))]


SENDERS = (
    Sender("mandrill", "their-key", _mandrill, _mandrill_form, _mandrill_signature, True),
    Sender("brevo", None, _brevo, _list, _password, True),
    Sender("mailjet", None, _mailjet, _list, _password, True),
    Sender("mailersend", "their-secret", _mailersend, _one_each, _hmac_in("Signature"), False),
    Sender("mailtrap", "their-secret", _mailtrap, _lines, _hmac_in("Mailtrap-Signature"), True),
    Sender("postal", _postal_public(), _postal, _one_each, _postal_signature, False),
)


class Hook:
    """A source of one sender, made by command, at a gateway before a tracking-service and an aggregator."""

    def __init__(self, sender: Sender, url: str, path: str, secret: str, here: Bench) -> None:
        self.sender, self.url, self.path, self.secret, self.here = sender, url, path, secret, here

    def signed(self, body: bytes) -> Headers:
        return self.sender.sign(self.secret, BASE + self.path, body)

    async def post(self, body: bytes, headers: Headers) -> tuple[int, Any]:
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.url + self.path, data=body, headers=headers) as answer,
        ):
            return answer.status, json.loads(await answer.read())

    async def status_of(self, method: str) -> int:
        async with aiohttp.ClientSession() as session, session.request(method, self.url + self.path) as answer:
            return answer.status

    async def deliver(self, events: list[Any]) -> tuple[int, list[int]]:
        """(accepted, indexes of what was rejected) over all bodies that carry `events`."""
        accepted, rejected = 0, list[int]()
        for body in self.sender.pack(events):
            status, answer = await self.post(body, self.signed(body))
            assert status == 200, answer
            accepted += answer["accepted"]
            rejected += [one["index"] for one in answer["rejected"]]
        return accepted, rejected

    def event(self, name: str, n: int) -> Told:
        """An event of message n."""
        return self.sender.event(name, str(uuid.UUID(bytes=message(n))), n)

    async def history(self, n: int) -> dict[str, int]:
        """What is kept of message n, once all is counted."""
        await self.here.counted()
        rows = await self.here.db.fetch("SELECT type FROM event WHERE message = $1", uuid.UUID(bytes=message(n)))
        return dict(Counter(EventType(row["type"]).name.lower() for row in rows))


@asynccontextmanager
async def hook(sender: Sender, dsn: str, redis_url: str, folder: Path) -> AsyncIterator[Hook]:
    """A hook for the block, at which MESSAGES are registered. Everything is real but the provider."""
    path, secret = await asyncio.to_thread(_make_source, sender, dsn)
    service = await asyncio.to_thread(
        Service, redis_url, folder / "spool", source_key=SOURCE_KEY, public_gateway_url=BASE, shards=3
    )
    try:
        async with (
            bench(dsn, redis_url) as here,
            here.aggregator(),
            gateway(dsn, tracking_url=f"http://127.0.0.1:{service.port}") as url,
        ):
            await here.streams.append(0, *(registration(n) for n in MESSAGES))
            await here.counted()
            yield Hook(sender, url, path, secret, here)
    finally:
        assert await asyncio.to_thread(service.terminate) == 0


def _make_source(sender: Sender, dsn: str) -> tuple[str, str]:
    """(path, secret) of a new source."""
    environ = {
        "POSTMETER_POSTGRES_DSN": dsn,
        "POSTMETER_SOURCE_KEY": SOURCE_KEY,
        "POSTMETER_PUBLIC_GATEWAY_URL": BASE,
        "POSTMETER_KEY_PEPPER": "pepper",
    }

    def command(*arguments: str, typed: str = "") -> list[str]:
        done = CliRunner().invoke(main, arguments, env=environ, input=typed)
        assert done.exit_code == 0, done.output
        return done.output.split()

    command("workspace", "create", "acme", "--name", "Acme", "--timezone", "UTC")
    words = command("source", "create", "--workspace", "acme", "--provider", sender.slug)
    path = words[1].removeprefix(BASE)
    if sender.secret is None:
        return path, words[3]
    command("source", "secret", path.rpartition("/")[2], typed=sender.secret)
    return path, sender.secret
