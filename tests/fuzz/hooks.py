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
from tests.product import Product
from tests.webhooks import mailgun
from tests.webhooks.accounts import WITHOUT_SNS, Account, Mailgun, now
from tests.webhooks.signatures import mailgun_signature
from tests.webhooks.sns import Sns

Sign = Callable[[bytes], dict[str, str]]


def drafts_of(product: Product, messages: list[str]) -> list[Draft]:
    """A good delivery of each provider. messages: our ids of messages that it may tell of."""
    made = [_draft_of(product, one(), messages) for slug, one in WITHOUT_SNS.items() if slug != Mailgun.slug]
    made += [_mailgun(product, messages), _ses(product)]
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


def _draft_of(product: Product, account: Account, messages: list[str]) -> Draft:
    url, secret = source(product, account.slug, account.secret, *account.options)
    told = [account.event(name, uuid.uuid4().hex, messages[0]) for name in ("delivered", "opened")]
    body = account.pack(told)[0]
    sign: Sign = lambda data: account.sign(secret, url, data)  # noqa: E731
    as_it_is = account.media != "application/json" or b"\n" in body
    return _draft(url, body if as_it_is else json.loads(body), sign, account.media)


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
