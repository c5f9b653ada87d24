"""What servers answer when they do not take a mail, in the manner of each mailbox provider."""

from __future__ import annotations

import random

_UNKNOWN = {
    "gmail": "550-5.1.1 The address <{}> does not exist here. Look for typing errors. 550 5.1.1 NoSuchUser - gsmtp",
    "outlook": "550 5.5.0 Requested action not taken: mailbox unavailable <{}> (S2017062302)",
    "yahoo": "554 delivery error: dd No such user <{}> here - mta4.mail.example",
    "icloud": "550 5.1.1 <{}>: user does not exist",
    "gmx": "550 Requested action not taken: mailbox unavailable, no such user <{}>",
    "microsoft_365": "550 5.1.10 RESOLVER.ADR.RecipientNotFound; recipient <{}> not found by SMTP address lookup",
}
_USUAL_UNKNOWN = (
    "550 5.1.1 <{}>: Recipient address rejected: User unknown in virtual mailbox table",
    "550 5.1.1 No such user <{}>",
    "550 5.2.1 The mailbox <{}> is disabled",
)
_FULL = {
    "gmail": "452-4.2.2 The recipient's inbox is out of storage space. 452 4.2.2 OverQuotaTemp - gsmtp",
    "icloud": "552 5.2.2 <{}>: mailbox is over quota",
}
_USUAL_SOFT = (
    "452 4.2.2 <{}>: Mailbox full",
    "552 5.2.2 Mailbox of <{}> is over its quota",
    "421 4.4.2 Connection timed out while data were sent; retry time exceeded",
    "451 4.3.0 Temporary local problem, message given up after 72 hours",
    "554 5.3.4 Message size exceeds the limit of this mailbox",
)
_LATER = (
    "421 4.7.0 Too many messages from this connection, try again later",
    "450 4.2.0 <{}>: Recipient address rejected: Greylisted, come again in 300 seconds",
    "451 4.7.1 Temporarily deferred: unusual sending rate",
    "421 4.3.2 Service not available, closing transmission channel",
)
BLOCKED = (
    "550 5.7.1 Messages from [192.0.2.25] were not taken: its network is on our block list (S3150)",
    "550 5.7.1 Service unavailable, client host [192.0.2.25] blocked for its poor reputation (AS3140)",
)
"""Of the provider that refuses everything on the bad day."""
BLOCKED_FOR_NOW = "451 4.7.650 The mail server [192.0.2.25] has been rate limited due to IP reputation (S775)"


def unknown(noise: random.Random, provider: str, address: str) -> str:
    """The address is not there (any more)."""
    return (_UNKNOWN.get(provider) or noise.choice(_USUAL_UNKNOWN)).format(address)


def soft(noise: random.Random, provider: str, address: str) -> str:
    """It was given up after many attempts."""
    text = _FULL.get(provider, "") if noise.random() < 0.6 else ""
    return (text or noise.choice(_USUAL_SOFT)).format(address)


def later(noise: random.Random, address: str) -> str:
    """It is to be tried again."""
    return noise.choice(_LATER).format(address)
