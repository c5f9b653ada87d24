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
_LINE = re.compile(rb"([A-Z]++) +((?:/|[hH][tT][tT][pP][sS]?://).*) (HTTP/1\.[01])\r\n", re.DOTALL)
_FRAMED = re.compile(
    rb"\n(?:content-length[ \t]*+:[ \t]*+([0-9]{1,9}+)[ \t]*+\r|content-length|transfer-encoding)", re.IGNORECASE
)
_END = b"\r\n\r\n"
_ENDS = (b"\r", b"\n", b"\0")
_PRINTABLE = bytes(range(0x21, 0x7F))
_ASCII = bytes(range(0x80))


def requests(data: bytes) -> list[bytes]:
    """Bytes that begin with a request, in pieces that begin with one each, their lines readable.

    A piece is cut off behind a request without a body, or with one whose length is told; the last one is all the rest.
    A line that is as it should be, or is to be refused, stays as it is; so does all else. Lines end where they did.
    """
    pieces, at = list[bytes](), 0
    while (end := data.find(b"\n", at) + 1) > 0:
        line = data[at:end]
        head = line if _STRICT.fullmatch(line) else _readable(line)
        rest = data.find(_END, end - 2) + len(_END)
        framed = _FRAMED.search(data, end - 1, rest) if rest >= len(_END) else None
        if framed is not None:
            rest = rest + int(framed.group(1)) if framed.group(1) else 0
        is_last = rest < len(_END) or rest >= len(data)
        if is_last and not pieces and head is line:
            return [data]  # the usual case
        pieces.append(head + (data[end:] if is_last else data[end:rest]))
        if is_last:
            return pieces
        at = rest
    return [*pieces, data[at:]]


def readable(data: bytes) -> bytes:
    """The same bytes, with the lines that `requests` finds as it writes them."""
    pieces = requests(data)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _readable(line: bytes) -> bytes:
    """A line with its end."""
    parts = _LINE.fullmatch(line)
    if parts is None or any(end in line[:-2] for end in _ENDS):
        return line
    method, target, version = parts.groups()
    target = target.strip(b" ")
    path = origin_form(target.decode("latin-1"))
    is_hit = method.decode("latin-1") in hits.METHODS and path.startswith((OPEN_PATH, CLICK_PATH))
    written = quote_from_bytes(target, _PRINTABLE if is_hit else _ASCII).encode()
    return b"%b %b %b\r\n" % (method, written, version)
