"""Why an open or a click was judged as it was: the names that are a closed set, stored as numbers (docs/verdicts.md).

A verdict is stored in the two lowest bits of a number, and its reason's number above them. Reasons that are not in the
set, such as the networks of an operator's own list, are stored as texts beside it.
"""

from __future__ import annotations

from enum import IntEnum

from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.sql import Queries

NAMES = (
    "apple_mpp",
    "google_image_proxy",
    "yahoo_mail_proxy",
    "hey_image_proxy",
    "fastmail_image_proxy",
    "seznam_mail_proxy",
    "rambler_image_proxy",
    "ukrnet_mail_proxy",
    "shortwave_image_proxy",
    "camo",
    "image_proxy",
    "prefetch",
    "gmail_prefetch",
    "agent:scanner",
    "agent:preview",
    "agent:crawler",
    "agent:monitor",
    "agent:feed",
    "agent:assistant",
    "head",
    "honeypot",
    "burst",
    "all_links",
    "near_honeypot",
    "near_head",
    "early",
    "own_tracking_counts",
    "provider_tracking_counts",
)
"""The place of a name, from 1, is its number: new names go to the end, and none is ever taken out."""


class StoredVerdict(IntEnum):
    """The bits of the number that hold the verdict: how many, and their mask."""

    BITS = 2
    MASK = 3


_BITS = int(StoredVerdict.BITS)
_QUERIES = Queries("postmeter.shared.storage", "verdict_reasons.sql")
SHIFTED: dict[str | None, int] = {None: 0} | {name: n << StoredVerdict.BITS for n, name in enumerate(NAMES, 1)}
"""What a reason adds to its verdict's number."""


def stored(verdict: int, reason: str | None) -> tuple[int, str | None]:
    """The number that a verdict and its reason are stored as, and the reason's text where it has no number."""
    shifted = SHIFTED.get(reason)
    return (verdict, reason) if shifted is None else (verdict | shifted, None)


def name_of(number: int | None) -> str | None:
    """The reason in what is stored, None where there is none."""
    return NAMES[(number >> _BITS) - 1] if number is not None and number >> _BITS else None


async def install(connection: Connection) -> None:
    """Make the SQL function that gives a reason's name, or bring it up to date. Run by the owner."""
    await connection.execute(_QUERIES["name"].format(names=", ".join(f"'{name}'" for name in NAMES)))
