"""Webhooks from end to end: sources made by the command, deliveries through a real gateway, tracking-service and
aggregator, and what is then in the tables.
"""

import asyncio
import json
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from click.testing import CliRunner

from postmeter.cli.main import main
from postmeter.shared.auth.secret import Secret
from postmeter.tracking import service as tracking
from postmeter.tracking.settings import TrackingSettings
from postmeter.tracking.webhooks import sns_certificates
from tests.aggregation import Bench, bench
from tests.integration.running_gateway import TOKEN_KEYS, bearer, client, gateway
from tests.integration.running_query import INTERNAL, World, world
from tests.product import free_port, reachable
from tests.waiting import until
from tests.webhooks import mailgun, postmark, resend, sendgrid, ses, sparkpost
from tests.webhooks.deliveries import raw
from tests.webhooks.signatures import SendGridSigner, basic, mailgun_signature, svix_headers
from tests.webhooks.sns import Sns

SOURCE_KEY = "source key of the tests"
WORKSPACE = "shop"
Call = tuple[bytes, dict[str, str]]
"""A delivery's body and headers."""


@dataclass(frozen=True)
class Door:
    """A source: its URL and its secret."""

    url: str
    secret: str

    @property
    def id(self) -> str:
        return self.url.rpartition("/")[2]


@dataclass
class Post:
    """What a test talks to."""

    bench: Bench
    here: World
    gateway: str
    session: aiohttp.ClientSession
    key: str
    sns: Sns

    async def source(self, provider: str, secret: str = "", *options: str, workspace: str = WORKSPACE) -> Door:
        """A source as `postmeter source create` makes it."""
        arguments = ["source", "create", "--workspace", workspace, "--provider", provider, "--name", "of a test"]
        arguments += ["--secret-file", "-"] if secret else []
        for option in options:
            arguments += ["--option", option]
        output = await self.command(*arguments, typed=secret)
        lines = dict(line.split() for line in output.splitlines() if line[:3] in ("url", "sec"))
        return Door(lines["url"], secret or lines["secret"])

    async def command(self, *arguments: str, typed: str = "") -> str:
        """What a `postmeter` command prints."""
        environ = {
            "POSTMETER_POSTGRES_DSN": self.bench.dsn,
            "POSTMETER_SOURCE_KEY": SOURCE_KEY,
            "POSTMETER_PUBLIC_GATEWAY_URL": self.gateway,
            "POSTMETER_REDIS_URL": self.bench.settings.redis_url.reveal(),
        }
        result = await asyncio.to_thread(CliRunner().invoke, main, arguments, env=environ, input=typed)
        assert result.exit_code == 0, result.output
        return result.output

    async def post(self, door: Door, call: Call, **headers: str) -> tuple[int, Any, Mapping[str, str]]:
        async with self.session.post(door.url, data=call[0], headers=call[1] | headers) as answer:
            body = await answer.read()
            return answer.status, json.loads(body), answer.headers

    async def take(self, door: Door, call: Call) -> Any:
        """The answer to a delivery that is taken."""
        status, body, _ = await self.post(door, call)
        assert status == 200, body
        return body

    async def register(self, **fields: Any) -> str:
        """The id of a message registered through the gateway."""
        given = {"from_address": "news@shop.example", "to": "ada@mail.example"} | fields
        url = f"{self.gateway}/v1/messages"
        async with self.session.post(url, json=given, headers=bearer(self.key)) as answer:
            body = json.loads(await answer.read())
            assert answer.status == 201, body
            return str(body["data"]["id"])

    async def history(self, rows: int) -> list[dict[str, Any]]:
        """All rows of `event`, once there are so many: an event may come before its message is known."""

        async def reached() -> bool:
            await self.bench.counted()
            return bool(await self.bench.value("SELECT count(*) = $1 FROM event", rows))

        await until(reached, 10)
        return [dict(row) for row in await self.bench.db.fetch("SELECT * FROM history ORDER BY at, type")]

    async def dead_letters(self) -> list[dict[str, Any]]:
        await self.bench.counted()
        return [dict(row) for row in await self.bench.db.fetch("SELECT * FROM dead_letter ORDER BY id")]

    async def counts(self, expected: dict[str, int]) -> None:
        """Wait until the rollups say this, and nothing else; which deliveries are trackable is not asked."""

        async def total() -> dict[str, int]:
            await self.bench.counted()
            return {name: n for name, n in (await self.bench.total()).items() if name != "trackable"}

        async def reached() -> bool:
            return await total() == expected

        try:
            await until(reached, 10)
        except AssertionError:
            assert await total() == expected


@asynccontextmanager
async def posting(dsn: str, redis_url: str, folder: Path, **settings: Any) -> AsyncIterator[Post]:
    """Everything that a delivery goes through, and a workspace. settings: of tracking-service."""
    sns = Sns()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sns_certificates, "outside", sns.fetch)
        patch.setattr(sns_certificates, "_known", OrderedDict())
        async with (
            bench(dsn, redis_url) as rig,
            world(dsn) as here,
            rig.aggregator(),
            running_tracking(redis_url, rig.settings.shards, folder, settings) as tracking_url,
            gateway(dsn, tracking_url=tracking_url) as url,
            client() as session,
        ):
            workspace = await here.workspace(WORKSPACE)
            key = await here.key(workspace, scopes=("track",))
            yield Post(rig, here, url, session, key, sns)


@asynccontextmanager
async def running_tracking(redis_url: str, shards: int, folder: Path, given: dict[str, Any]) -> AsyncIterator[str]:
    """The base URL of a running tracking-service."""
    port, ops_port = free_port(), free_port()
    settings = TrackingSettings(
        port=port,
        ops_port=ops_port,
        redis_url=Secret(redis_url),
        shards=shards,
        internal_secret=INTERNAL,
        token_keys=TOKEN_KEYS,
        public_url="http://t.example.net",
        source_key=Secret(SOURCE_KEY),
        public_gateway_url="https://gateway.example",
        spool_dir=str(folder),
        log_level="critical",
        stop_timeout=1.0,
        **given,
    )
    stop = asyncio.Event()
    task = asyncio.create_task(tracking.serve(settings, stop))
    try:
        await reachable(ops_port, task)
        yield f"http://127.0.0.1:{port}"
    finally:
        stop.set()
        await task


def now() -> float:
    return datetime.now(UTC).timestamp()


def moment() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Account:
    """An account at a provider: `delivered` is a signed call that tells of a delivery.

    theirs: the provider's id of the message as its send answer gives it. ours: our id, if the sender passed it on.
    """

    slug: str
    secret = ""
    options: tuple[str, ...] = ()

    def delivered(self, door: Door, theirs: str, ours: str = "") -> Call:
        raise NotImplementedError

    def forged(self, call: Call) -> Call:
        """The same call by somebody who has no secret."""
        return call[0].replace(b"ada@", b"eve@"), call[1]


class SendGrid(Account):
    slug = "sendgrid"

    def __init__(self) -> None:
        self.signer = SendGridSigner()
        self.secret = self.signer.secret

    def signed(self, events: object) -> Call:
        body = raw(events)
        return body, self.signer.headers(body, now())

    def delivered(self, door: Door, theirs: str, ours: str = "") -> Call:
        message, event_id = f"{theirs}.recvd-5f54b5d587-pczjm-1-67BADEEA-6.0", uuid.uuid4().hex
        return self.signed(
            [
                sendgrid.event(
                    "delivered", timestamp=int(now()), sg_event_id=event_id, sg_message_id=message, postmeter_id=ours
                )
            ]
        )


class Mailgun(Account):
    slug = "mailgun"
    secret = "signing key of an account"

    def signed(self, data: dict[str, Any], token: str = "") -> Call:
        signature = mailgun_signature(self.secret, now(), token or uuid.uuid4().hex)
        return raw(mailgun.body(data, signature)), {"Content-Type": "application/json"}

    def event(self, kind: str, theirs: str, ours: str = "") -> dict[str, Any]:
        message = {"headers": {"message-id": theirs.strip("<>")}}
        given = {"id": uuid.uuid4().hex, "timestamp": now(), "message": message}
        return mailgun.event(kind, **given, user_variables={"postmeter_id": ours})

    def delivered(self, door: Door, theirs: str, ours: str = "") -> Call:
        return self.signed(self.event("delivered", theirs, ours))

    def forged(self, call: Call) -> Call:
        data = json.loads(call[0])
        data["signature"]["signature"] = "0" * 64
        return raw(data), call[1]


class Postmark(Account):
    slug = "postmark"

    def delivered(self, door: Door, theirs: str, ours: str = "") -> Call:
        record = postmark.record("Delivery", MessageID=theirs, DeliveredAt=moment(), Recipient="ada@mail.example")
        return raw(record | {"Metadata": {"postmeter_id": ours} if ours else {}}), basic(door.secret)

    def forged(self, call: Call) -> Call:
        return call[0], basic("a guess")


class SparkPost(Postmark):
    slug = "sparkpost"

    def delivered(self, door: Door, theirs: str, ours: str = "") -> Call:
        event = sparkpost.event("delivery", event_id=uuid.uuid4().hex, timestamp=str(int(now())), message_id=theirs)
        event["msys"]["message_event"]["rcpt_meta"] = {"postmeter_id": ours} if ours else {}
        return raw([event]), basic(door.secret)


class Resend(Account):
    slug = "resend"
    secret = resend.SECRET

    def delivered(self, door: Door, theirs: str, ours: str = "") -> Call:
        event = resend.event("email.delivered", email_id=theirs, tags={"postmeter_id": ours} if ours else {})
        body = raw(event | {"created_at": moment()})
        return body, svix_headers(self.secret, body, now(), "msg_" + uuid.uuid4().hex)


class Ses(Account):
    slug = "ses"
    options = (f"topics={Sns.topic}",)

    def __init__(self, sns: Sns) -> None:
        self.sns = sns

    def signed(self, content: object, kind: str = "Notification", **changes: Any) -> Call:
        message = self.sns.message(content, kind, **{"Timestamp": moment(), **changes})
        return raw(message), {"Content-Type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": kind}

    def delivered(self, door: Door, theirs: str, ours: str = "") -> Call:
        mail = ses.mail(messageId=theirs, tags={"postmeter_id": [ours]} if ours else {})
        details = {"timestamp": moment(), "recipients": ["ada@mail.example"]}
        return self.signed(ses.event("Delivery", details, mail=mail))


ACCOUNTS: dict[str, Callable[[Post], Account]] = {
    "sendgrid": lambda post: SendGrid(),
    "mailgun": lambda post: Mailgun(),
    "postmark": lambda post: Postmark(),
    "sparkpost": lambda post: SparkPost(),
    "resend": lambda post: Resend(),
    "ses": lambda post: Ses(post.sns),
}
