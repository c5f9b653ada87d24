"""Email addresses in other people's text: what stands before the @ is masked, the domain stays (ADR 0025).

Bounces, diagnostics and payloads name their recipient, and no address is ever stored in clear. The domain is stored
with the message anyway, and it says whose server answered. Rather too much is masked than too little: where it is not
clear where an address begins, its whole surroundings go.
"""

from __future__ import annotations

import re

MASK = "***"
SPAN = 320
"""The longest address (RFC 5321: 64 and 255 octets). Whatever cuts a text before masking keeps this much more of it."""
WITHHELD = "(withheld: it is little but addresses)"
_QUOTED = 140
"""A quoted local part, each of its characters escaped."""

# The sign itself and its wide forms; encoded as in URLs, in quoted-printable, JSON and HTML, where it may be a number.
_SIGN = re.compile(
    r"[@\uff20\ufe6b]|%(?:25){0,3}40|=40|\\u0040|&(?:\#0{0,5}64|\#x0{0,5}40|commat);",
    re.ASCII | re.IGNORECASE,
)
_PLAIN = frozenset("@\uff20\ufe6b")
# What follows an encoded sign that is one: a domain of two labels, with a letter in the first.
_ENCODED_DOMAIN = re.compile(r"[\d-]{0,62}+[^\W\d][\w%=-]{0,90}+\.\w")
# Backwards from the sign: what no unquoted local part holds (RFC 5322, section 3.2.3), nor one beyond ASCII. A
# backslash may be the beginning of an escaped letter of it.
_LOCAL = re.compile(r'[^\s<>()\[\]{},;:"|]*+')
# A sign with white space before it belongs to an address only where a domain follows; it may have been folded there.
_DOMAIN = re.compile(r"\s{0,8}+(?:\[|[\w-]{1,63}+\.\w)")
# Before a closing quote: then it is not one, but opens a text that begins with the sign.
_OPENS = frozenset(" \t\r\n:,;=({[\"'")


def masked(text: str, limit: int) -> str:
    """At most `limit` characters of the text without addresses. Linear in `limit`, whatever the text."""
    given = text[: limit + SPAN]
    found = _masked(given)
    if len(given) < len(text):
        # It ends within what may be an address whose sign was cut off.
        found = found[:-SPAN]
    return found[:limit]


def masked_bytes(raw: bytes, limit: int) -> bytes:
    """The same for bytes of any encoding: what is not UTF-8 stays as it is."""
    text = raw[: limit + SPAN].decode("utf-8", "surrogateescape")
    found = _masked(text).encode("utf-8", "surrogateescape")
    return found[:limit] if len(raw) <= limit + SPAN else found[:-SPAN][:limit]


def _masked(text: str) -> str:
    pieces, done = list[str](), 0
    signs = _SIGN.findall(text)
    if len(signs) > 50 + len(text) // 100:
        # No server and no provider writes so; each takes microseconds, and a body may be nothing else.
        return WITHHELD
    for sign in _SIGN.finditer(text) if signs else ():
        if sign.group() not in _PLAIN and not _ENCODED_DOMAIN.match(text, sign.end()):
            continue
        begin = _begin(text, done, sign.start(), sign.end())
        if begin < sign.start():
            pieces += (text[done:begin], MASK, sign.group())
        else:
            pieces.append(text[done : sign.end()])
        done = sign.end()
    return "".join([*pieces, text[done:]]) if pieces else text


def _begin(text: str, floor: int, at: int, after: int) -> int:
    """Where the local part begins that ends at `at`; `at` itself where there is none."""
    bracket = text.rfind("<", max(floor, at - SPAN), at)
    if bracket >= 0 and text.find(">", bracket, at) < 0:
        # All of it, however it is quoted, commented or folded; nothing where the sign is the first (a source route).
        return bracket + 1
    end = at
    if text[max(floor, at - 1) : at].isspace() and _DOMAIN.match(text, after):
        space = text[floor + len(text[floor:at].rstrip()) : at]
        # Quoted-printable ends a line that goes on with "=".
        end = floor + len(text[floor:at].rstrip().removesuffix("=" if "\n" in space else ""))
    last = text[max(floor, end - 1) : end]
    if last == '"' and text[max(floor, end - 2) : end - 1] not in _OPENS:
        low = max(floor, end - _QUOTED)
        opening = text.find('"', low, end - 1)
        return low + len(text[low:opening].rstrip("\\")) if opening >= 0 else low
    if last == ")":
        opening = text.rfind("(", floor, end)
        end = opening if opening >= 0 else end
    local = _LOCAL.match(text[floor:end][::-1])
    begin = end - (local.end() if local else 0)
    return begin if begin < end else at
