"""Deliveries of every email provider, signed after they were changed."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

from click.testing import CliRunner

from postmeter.cli.main import main
from postmeter.shared.storage import sources
from tests.fuzz.drafts import Draft
from tests.integration.webhook_senders import SENDERS, Sender
from tests.integration.webhook_world import Account, Door, Mailgun, Postmark, Resend, SendGrid, SparkPost, now
from tests.product import Product
from tests.webhooks import mailgun
from tests.webhooks.signatures import basic, mailgun_signature, svix_headers
from tests.webhooks.sns import Sns

Sign = Callable[[bytes], dict[str, str]]


def drafts_of(product: Product, messages: list[str]) -> list[Draft]:
    """A good delivery of each provider. messages: our ids of messages that it may tell of."""
    made = [_of_account(product, account, messages) for account in (SendGrid(), Postmark(), SparkPost(), Resend())]
    made += [_mailgun(product, messages), _ses(product), *(_of_sender(product, one, messages) for one in SENDERS)]
    assert {draft.path[3] for draft in made} == set(sources.PROVIDERS), "a provider without a good delivery"
    return made


def command(product: Product, *words: str, given: str = "") -> str:
    """What a `postmeter` command prints, run here: a process for each takes seconds."""
    done = CliRunner().invoke(main, [*words, "--data", str(product.data)], input=given)
    assert done.exit_code == 0, done.output
    return done.stdout


def source(product: Product, provider: str, secret: str = "", *options: str) -> tuple[str, str]:
    """(URL, secret) of a new source."""
    words = [word for option in options for word in ("--option", option)]
    workspace = product.ready["workspace"]
    made = command(product, "source", "create", "--workspace", workspace, "--provider", provider, *words)
    lines = dict(line.split() for line in made.splitlines() if line[:3] in ("url", "sec"))
    url = lines["url"]
    if secret:
        command(product, "source", "secret", url.rpartition("/")[2], given=secret + "\n")
    return url, secret or lines["secret"]


def _draft(url: str, body: Any, sign: Sign, media: str = "application/json") -> Draft:
    path = ["", *url.split("/")[3:]]
    return Draft("gateway", "POST /v1/webhooks/{provider}/{source}", "POST", path, body=body, sign=sign, media=media)


def _of_account(product: Product, account: Account, messages: list[str]) -> Draft:
    url, secret = source(product, account.slug, account.secret, *account.options)
    body, _ = account.delivered(Door(url, secret), uuid.uuid4().hex, messages[0])
    signs: dict[str, Sign] = {"resend": lambda data: svix_headers(secret, data, now(), "msg_" + uuid.uuid4().hex)}
    if isinstance(account, SendGrid):
        signs["sendgrid"] = lambda data: account.signer.headers(data, now())
    return _draft(url, json.loads(body), signs.get(account.slug, lambda data: basic(secret)))


def _mailgun(product: Product, messages: list[str]) -> Draft:
    """Signed within its body, which is good for hours; its token is taken once, so most are repetitions."""
    account = Mailgun()
    url, secret = source(product, account.slug, account.secret)
    event = account.event("delivered", uuid.uuid4().hex, messages[0])
    return _draft(url, mailgun.body(event, mailgun_signature(secret, now(), uuid.uuid4().hex)), lambda data: {})


def _ses(product: Product) -> Draft:
    """Not believed: the certificate would have to be Amazon's."""
    url, _ = source(product, "ses", "", f"topics={Sns.topic}")
    message = Sns.unsigned({"notificationType": "Delivery"}) | {"SigningCertURL": "https://sns.example/x.pem"}
    return _draft(url, message, lambda data: {"x-amz-sns-message-type": "Notification"})


def _of_sender(product: Product, sender: Sender, messages: list[str]) -> Draft:
    url, secret = source(product, sender.slug, sender.secret or "")
    told = [sender.event(name, messages[0], 1) for name in ("delivered", "opened")]
    body = sender.pack(told)[0]
    sign: Sign = lambda data: sender.sign(secret, url, data)  # noqa: E731
    if sender.slug == "mandrill":
        return _draft(url, body, sign, "application/x-www-form-urlencoded")
    return _draft(url, body if b"\n" in body else json.loads(body), sign)
