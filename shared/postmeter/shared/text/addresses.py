"""Email addresses as people and programs write them (RFC 5322, RFC 6531), and the form that tells contacts apart."""

from __future__ import annotations

import re
import unicodedata
from email.errors import InvalidHeaderDefect
from email.headerregistry import HeaderRegistry
from ipaddress import IPv6Address, ip_address
from typing import Any

from postmeter.shared.text import domains

TEXT_CHARS = 1000
"""Of an address with its display name."""
ADDRESS_CHARS = 320
MOST_SPECIALS = 20
"""Quotes, brackets, blanks and the like of an address that the library reads: for hundreds it takes 20 milliseconds."""
# The common case in one linear match: nothing quoted, no comment, no address literal.
_PLAIN = re.compile(r'[^@,;:<>()\[\]\\"\s\x00-\x1f\x7f]+@[^@,;:<>()\[\]\\"\s\x00-\x1f\x7f]+')
# `Name <address>`; the name is of no use here. If it is quoted it may hold brackets of its own.
_NAMED = re.compile(r"[^<>]*+<([^<>]*+)>")
_QUOTED_NAME = re.compile(r'(?:"(?:[^"\\]|\\.)*+"?|[^<>"])*+<([^<>]*+)>', re.DOTALL)
_SPECIAL = re.compile(r'[@,;:<>()\\"\s]')
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_headers = HeaderRegistry()


def read(text: str) -> tuple[str, str]:
    """(address, domain) of one address, with or without a display name. Raises ValueError.

    The domain is as domains.normal gives it, or an address literal: `[192.0.2.1]`, `[ipv6:2001:db8::1]`. Steps are
    bounded whatever is given: what the common case does not cover is cut before the library reads it.
    """
    given = text.strip()
    if len(given) > TEXT_CHARS:
        raise ValueError("longer than an address may be")
    named = _NAMED.fullmatch(given) or _QUOTED_NAME.fullmatch(given)
    bare = named.group(1).strip() if named else given
    if len(bare) > ADDRESS_CHARS:
        raise ValueError("longer than an address may be")
    if not _PLAIN.fullmatch(bare):
        bare = _parsed(bare)
    return bare, _domain(bare.rpartition("@")[2])


def canonical(address: str) -> str:
    """The form in which all ways to write an address are one: what `read` gave, lower-cased, its domain as there.

    Of a plain ASCII address it is just that, lower-cased. What is not an address is only trimmed and lower-cased.
    """
    bare = address.strip()
    local, at, host = bare.rpartition("@")
    try:
        return f"{unicodedata.normalize('NFC', local)}{at}{_domain(host)}".lower() if local else bare.lower()
    except ValueError:
        return bare.lower()


def _parsed(text: str) -> str:
    """The address that RFC 5322 reads in `text`: without comments, quoted only where it must be."""
    if len(_SPECIAL.findall(text)) > MOST_SPECIALS:
        raise ValueError("not an email address")
    try:
        header: Any = _headers("to", text)
        (found,) = header.addresses
        bare = found.addr_spec
    except Exception:  # of odd text the library raises by whatever it stumbles over
        raise ValueError("not an email address") from None
    if any(isinstance(defect, InvalidHeaderDefect) for defect in header.defects):
        raise ValueError("not an email address")
    if not found.username or not found.domain or _CONTROL.search(bare) or len(bare) > ADDRESS_CHARS:
        raise ValueError("not an email address")
    return str(bare)


def _domain(host: str) -> str:
    if not host.startswith("["):
        return domains.normal(host)
    literal = ip_address(host[1:].removesuffix("]").lower().removeprefix("ipv6:"))
    return f"[ipv6:{literal}]" if isinstance(literal, IPv6Address) else f"[{literal}]"
