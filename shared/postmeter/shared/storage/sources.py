"""Webhook sources: one webhook at one email provider, of one workspace.

The gateway finds a source by the id in the URL and passes it on in the header `Postmeter-Source`, sealed as a
principal is (principal.py). Its secret stays encrypted on the way and in Postgres: only tracking-service, which
verifies deliveries, and the commands that make sources have POSTMETER_SOURCE_KEY.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets

import msgspec
from cryptography.fernet import Fernet, InvalidToken

from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import SettingsError

HEADER = "Postmeter-Source"
PROVIDERS = (
    "ses",
    "sendgrid",
    "mailgun",
    "postmark",
    "sparkpost",
    "resend",
    "mandrill",
    "brevo",
    "mailjet",
    "mailersend",
    "mailtrap",
    "postal",
)
"""Names in the webhook's URL."""
ENGAGEMENT = ("own", "provider")
"""Whose opens and clicks count for mail that carries our pixel: ours, or the provider's (the others are history)."""
_ID = re.compile(r"src_[0-9a-z]{20}", re.ASCII)


class SealedSource(msgspec.Struct, frozen=True, kw_only=True):
    """A source as the gateway passes it on. secret: encrypted. options: provider's own, such as `topics` of SES."""

    id: str
    workspace: int
    provider: str
    secret: str
    options: dict[str, str]
    request_id: str = ""


def new_id() -> str:
    """An id that cannot be guessed; it stands in the webhook's URL."""
    return "src_" + "".join(secrets.choice("0123456789abcdefghijklmnopqrstuvwxyz") for _ in range(20))


def is_id(text: str) -> bool:
    """Whether `text` may be a source's id."""
    return _ID.fullmatch(text) is not None


def encrypt(secret: Secret, key: Secret) -> str:
    """A source's secret as it is stored."""
    return _fernet(key).encrypt(secret.reveal().encode()).decode()


def decrypt(stored: str, key: Secret) -> Secret:
    """The secret behind what is stored. Raises SettingsError if it was stored under another key."""
    try:
        return Secret(_fernet(key).decrypt(stored.encode()).decode())
    except InvalidToken:
        raise SettingsError("POSTMETER_SOURCE_KEY is not the one that this source's secret was stored under") from None


def _fernet(key: Secret) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(hashlib.blake2b(key.reveal().encode(), digest_size=32).digest()))
