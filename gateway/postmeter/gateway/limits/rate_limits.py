"""The setting POSTMETER_RATE_LIMITS: requests per minute of one workspace, by class of endpoints."""

from __future__ import annotations

from typing import Annotated

from postmeter.shared.apis.endpoint import Limit
from postmeter.shared.process.setting_types import Takes

DEFAULTS = {
    Limit.READ: 600,
    Limit.WRITE: 6000,
    Limit.CAMPAIGN: 100,
    Limit.OVERVIEW: 60,
    Limit.DELIVERABILITY: 30,
    Limit.EXPORT: 10,
}
MOST = 1_000_000
OFF = "off"


def parse(text: str) -> dict[Limit, int]:
    """The limits of `class=number,...`; classes not named have their defaults, those that are off are left out.

    Raises ValueError for what is not such a list.
    """
    limits = dict(DEFAULTS)
    named = set()
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = (piece.strip() for piece in part.partition("="))
        kind = Limit(name)
        if kind in named or (number != OFF and not (number.isascii() and number.isdecimal())):
            raise ValueError(part)
        named.add(kind)
        if number == OFF:
            del limits[kind]
        elif 1 <= int(number) <= MOST:
            limits[kind] = int(number)
        else:
            # 0 could mean none or no limit; it is neither.
            raise ValueError(part)
    return limits


def _is_list(text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


RateLimits = Annotated[
    str,
    Takes(f"a list such as read=600,export={OFF}: classes {', '.join(Limit)}, each 1 to {MOST} or {OFF}", _is_list),
]
