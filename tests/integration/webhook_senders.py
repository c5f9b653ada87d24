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
from postmeter.shared.storage.rollups import COUNTERS, TOTAL
from postmeter.shared.stream.events import EventType
from tests.aggregation import AT, SECOND, Bench, bench, message, registration
from tests.integration.running_gateway import gateway
from tests.integration.tracking_service import Service
from tests.webhooks.deliveries import Headers
from tests.webhooks.signatures import basic

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


@dataclass
class Office:
    """A gateway before a tracking-service and an aggregator. hooks: how many were made there."""

    url: str
    here: Bench
    hooks: int = 0


class Hook:
    """A source of one sender in a workspace of its own, made by command."""

    def __init__(self, sender: Sender, office: Office, workspace: int, path: str, secret: str) -> None:
        self.sender, self.url, self.here, self.workspace = sender, office.url, office.here, workspace
        self.path, self.secret = path, secret

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
        query = "SELECT type FROM event WHERE workspace = $1 AND message = $2"
        rows = await self.here.db.fetch(query, self.workspace, uuid.UUID(bytes=message(n)))
        return dict(Counter(EventType(row["type"]).name.lower() for row in rows))

    async def totals(self) -> dict[str, int]:
        """The workspace's counters that are not 0."""
        sums = ", ".join(f"sum({name})::bigint AS {name}" for name in COUNTERS)
        query = f"SELECT {sums} FROM activity_15m WHERE workspace = $1 AND series = $2"
        row = await self.here.db.fetchrow(query, self.workspace, TOTAL)
        return {name: value for name, value in dict(row or {}).items() if value}

    async def reasons(self) -> list[str]:
        """Of its events, those that have one."""
        query = "SELECT reason FROM event WHERE workspace = $1 AND reason IS NOT NULL"
        return [row["reason"] for row in await self.here.db.fetch(query, self.workspace)]

    async def dead_letters(self) -> list[bytes]:
        """What was put aside of its deliveries, the oldest first."""
        query = "SELECT record FROM dead_letter WHERE workspace = $1 ORDER BY id"
        return [row["record"] for row in await self.here.db.fetch(query, self.workspace)]


@asynccontextmanager
async def open_office(dsn: str, redis_url: str, folder: Path) -> AsyncIterator[Office]:
    """An office for the block. Everything is real but the providers."""
    service = await asyncio.to_thread(
        Service, redis_url, folder / "spool", source_key=SOURCE_KEY, public_gateway_url=BASE, shards=3
    )
    try:
        async with (
            bench(dsn, redis_url) as here,
            here.aggregator(),
            gateway(dsn, tracking_url=f"http://127.0.0.1:{service.port}") as url,
        ):
            yield Office(url, here)
    finally:
        assert await asyncio.to_thread(service.terminate) == 0


async def hook(sender: Sender, office: Office) -> Hook:
    """A new hook, at whose workspace MESSAGES are registered."""
    office.hooks += 1
    name = f"acme-{office.hooks}"
    path, secret = await asyncio.to_thread(_make_source, sender, office.here.dsn, name)
    workspace = await office.here.value("SELECT number FROM workspace WHERE id = $1", name)
    await office.here.streams.append(0, *(registration(n, workspace=workspace) for n in MESSAGES))
    await office.here.counted()
    return Hook(sender, office, workspace, path, secret)


def _make_source(sender: Sender, dsn: str, workspace: str) -> tuple[str, str]:
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

    command("workspace", "create", workspace, "--name", "Acme", "--timezone", "UTC")
    words = command("source", "create", "--workspace", workspace, "--provider", sender.slug)
    path = words[1].removeprefix(BASE)
    if sender.secret is None:
        return path, words[3]
    command("source", "secret", path.rpartition("/")[2], typed=sender.secret)
    return path, sender.secret
