"""Request lines as clients really send them, written so that a strict parser takes them (RFC 9112, 3).

A target that is not a URI (RFC 3986) must not lose a reader. Bytes beyond ASCII (`&utm_campaign=frühling`) are
percent-encoded in every target, which changes nothing else about a request. Blanks and control characters are encoded
in tracking URLs alone: there is nothing behind those that a filter before us guards, and for all others RFC 9112 (3.2)
would have them refused. CR, LF and NUL are never encoded, so a line that holds one stays what it is, and is refused.
"""

from __future__ import annotations

import re
from urllib.parse import quote_from_bytes

from postmeter.shared.apis.documents.vectis import CLICK_PATH, OPEN_PATH
from postmeter.shared.http.refusals import origin_form
from postmeter.shared.links import hits

_STRICT = re.compile(rb"[!-~]++ [!-~]++ HTTP/1\.[01]\r\n")
_VERSION = re.compile(rb"HTTP/1\.[01]")
_FRAMED = re.compile(rb"\n(?:content-length|transfer-encoding)[ \t]*+:", re.IGNORECASE)
_END = b"\r\n\r\n"
_ENDS = (b"\r", b"\n", b"\0")
_PRINTABLE = bytes(range(0x21, 0x7F))
_ASCII = bytes(range(0x80))


def readable(data: bytes) -> bytes:
    """Bytes that begin with a request, its line readable, and those of requests that follow one without a body.

    A line that is as it should be, or is to be refused, stays as it is; so does all else. Lines end where they did.
    """
    pieces, done, at = list[bytes](), 0, 0
    while (end := data.find(b"\n", at) + 1) > 0:
        line = data[at:end]
        if not _STRICT.fullmatch(line):
            pieces += data[done:at], _readable(line)
            done = end
        rest = data.find(_END, end - 2) + len(_END)
        if rest < len(_END) or rest == len(data) or _FRAMED.search(data, end - 1, rest):
            break
        at = rest
    return b"".join([*pieces, data[done:]]) if pieces else data


def _readable(line: bytes) -> bytes:
    """A line with its end."""
    method, _, rest = line[:-2].partition(b" ")
    target, _, version = rest.rpartition(b" ")
    if not (line.endswith(b"\r\n") and _VERSION.fullmatch(version)) or any(end in line[:-2] for end in _ENDS):
        return line
    target = target.strip(b" ")
    path = origin_form(target.decode("latin-1"))
    is_hit = method.decode("latin-1") in hits.METHODS and path.startswith((OPEN_PATH, CLICK_PATH))
    written = quote_from_bytes(target, _PRINTABLE if is_hit else _ASCII).encode()
    return b"%b %b %b\r\n" % (method, written, version)
