"""Where a tracked link may lead (hostile-input.md 7-17)."""

from __future__ import annotations

import re
from urllib.parse import quote

import idna

from postmeter.shared.errors import DestinationRefused

MAX_BYTES = 8192
# The common case in one linear match: absolute, plain host, printable ASCII, nothing to convert.
_PLAIN = re.compile(r"https?://[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?(?::[0-9]{1,5})?(?:[/?#][!-~]*)?", re.ASCII)
# Without re.ASCII an \u017f would pass for an s, in something that is not a URL and a header that is not ASCII.
_PARTS = re.compile(r"(https?://)([^/?#]*+)(.*)", re.ASCII | re.IGNORECASE | re.DOTALL)
_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:@\[\]]+)(:[0-9]{1,5})?")
_UNSAFE = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ufeff]")


def location(url: str) -> str:
    """The `Location` value for `url`: the sender's bytes, with only what ASCII cannot carry converted.

    An ASCII URL comes back unchanged. A host beyond ASCII becomes punycode (UTS 46), other characters
    beyond ASCII are percent-encoded as UTF-8. Raises DestinationRefused for everything that is not an
    absolute http(s) URL without user info, white space or control characters, of at most 8 KB.
    """
    if len(url) <= MAX_BYTES and "\\" not in url and _PLAIN.fullmatch(url):
        return url
    try:
        size = len(url.encode())
    except UnicodeEncodeError:
        raise DestinationRefused("the URL holds half a surrogate pair") from None
    if size > MAX_BYTES:
        raise DestinationRefused(f"the URL is longer than {MAX_BYTES} bytes")
    if _UNSAFE.search(url):
        raise DestinationRefused("the URL holds white space or control characters; percent-encode them")
    parts = _PARTS.fullmatch(url)
    if parts is None:
        raise DestinationRefused("the URL is not an absolute http:// or https:// URL")
    scheme, authority, rest = parts.groups()
    converted = scheme + _authority(authority) + quote(rest, safe="".join(map(chr, range(0x21, 0x7F))))
    if len(converted) > 3 * MAX_BYTES:
        raise DestinationRefused(f"the URL is longer than {MAX_BYTES} bytes")
    return converted


def _authority(authority: str) -> str:
    match = _HOST_AND_PORT.fullmatch(authority)
    if "\\" in authority or match is None:
        raise DestinationRefused("the URL needs a host, without user info")
    host, port = match.group(1), match.group(2) or ""
    if host.isascii():
        return authority
    try:
        return idna.encode(host, uts46=True).decode() + port
    except idna.IDNAError:
        raise DestinationRefused("the URL's host is not a valid domain name") from None
