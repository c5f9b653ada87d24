"""What a hit says about its client, made fit for storing."""

from __future__ import annotations

from functools import lru_cache

from postmeter.shared.text import hosts


@lru_cache(16384)
def user_agent(raw: bytes) -> str | None:
    """The header's text; bytes that are not UTF-8 become U+FFFD, NULs go. None when there is none."""
    return raw.decode("utf-8", "replace").replace("\0", "") or None


def stored_network(ip: str, number: int | None) -> tuple[int | None, str | None]:
    """What `network` keeps, as it is stored: the 24 bits of an IPv4 address as a number, anything else as its text.

    number: `number_4` of it.
    """
    return (None, hosts.network_6(ip)) if number is None else (number >> 8, None)


def no_stored_network(_: str, __: int | None) -> tuple[None, None]:
    """The same where nothing of addresses is to be kept."""
    return None, None
