"""Checks of single fields. Each raises FieldRefused that names the field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TypeVar

from postmeter.shared.http import times
from postmeter.shared.http.fields import invalid
from postmeter.shared.text import addresses, domains

Named = TypeVar("Named")
OLDEST = timedelta(days=731)
NEWEST = timedelta(hours=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HALF_OF_A_PAIR = re.compile("[\ud800-\udfff]")
IP_CHARS = 45
MAX_LABELS = 20
LABELS_BYTES = 800


def text(field: str, value: str | None, limit: int) -> str:
    """A text of at most `limit` characters that Postgres can store; None is empty."""
    if value is None:
        return ""
    if len(value) > limit:
        raise invalid(field, f"at most {limit} characters")
    if "\0" in value or HALF_OF_A_PAIR.search(value):
        raise invalid(field, "NUL and half surrogate pairs cannot be stored")
    return value


def label(field: str, value: str | None, limit: int) -> str:
    """A text of at most `limit` characters and twice as many bytes: all labels of a message share an index entry."""
    given = text(field, value, limit)
    if len(given.encode()) > 2 * limit:
        raise invalid(field, f"at most {2 * limit} bytes of UTF-8")
    return given


def labels(field: str, values: list[str] | None) -> list[str]:
    """Up to 20 labels of 100 characters, 800 bytes of UTF-8 in all; as they were sent, each once."""
    given = values or []
    if len(given) > MAX_LABELS:
        raise invalid(field, f"at most {MAX_LABELS}")
    found = list(dict.fromkeys(text(f"{field}[{index}]", value, 100) for index, value in enumerate(given)))
    if sum(len(value.encode()) for value in found) > LABELS_BYTES:
        raise invalid(field, f"at most {LABELS_BYTES} bytes of UTF-8 in all")
    return found


def one_of(field: str, value: str | None, known: Mapping[str, Named], absent: Named) -> Named:
    """What a name stands for; None: `absent`."""
    if value is None:
        return absent
    if value not in known:
        raise invalid(field, f"one of {', '.join(known)}")
    return known[value]


def domain(field: str, value: str) -> str:
    """A domain name, lower-cased, beyond ASCII as punycode."""
    try:
        return domains.normal(text(field, value, domains.LIMIT))
    except ValueError:
        raise invalid(field, "not a domain name") from None


def address(field: str, value: str) -> tuple[str, str]:
    """(address, domain) of `a@b.c` or `Name <a@b.c>`, as addresses.read gives them."""
    try:
        return addresses.read(text(field, value, addresses.TEXT_CHARS))
    except ValueError:
        raise invalid(field, "not an email address") from None


def bare_id(given: str) -> str:
    """A provider's id of a message without angle brackets: its send answer may have them where its events have not."""
    return given.strip().removeprefix("<").removesuffix(">").strip()


def ip(field: str, value: str | None) -> str:
    """An IPv4 or IPv6 address in its usual form; None is empty."""
    if value is None:
        return ""
    try:
        if len(value) > IP_CHARS or "%" in value:
            raise ValueError
        return str(ip_address(value))
    except ValueError:
        raise invalid(field, "not an IP address") from None


def micros(moment: datetime) -> int:
    """Microseconds since 1970 UTC."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def timestamp(field: str, value: str | None, received: datetime) -> tuple[int, int | None]:
    """(the time it counts at, the time claimed if that is out of range), in microseconds.

    Two years back to one hour ahead of `received` is in range; None means `received`.
    """
    if value is None:
        return micros(received), None
    try:
        moment = times.timestamp(field, value).astimezone(UTC)
    except OverflowError:
        raise invalid(field, "is not a date or time that exists") from None
    if received - OLDEST <= moment <= received + NEWEST:
        return micros(moment), None
    return micros(received), micros(moment)
