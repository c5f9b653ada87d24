"""Prepared answers of the tracking URLs, as bytes."""

from __future__ import annotations

import time
from email.utils import formatdate

from postmeter.shared.apis.table import OPEN_PATH, document_of
from postmeter.shared.errors import RequestError
from postmeter.shared.http.envelopes import error_body
from postmeter.shared.links import pixel

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="robots" content="noindex">
<meta name="viewport" content="width=device-width"><title>{title}</title>
<body style="font:16px/1.5 sans-serif;max-width:32em;margin:15vh auto;padding:0 1em"><h1>{title}</h1><p>{text}</p>
"""
PAGES = {
    400: (
        "This link is damaged",
        "Its address holds characters that no web address may hold. Please open it again from the original mail.",
    ),
    404: (
        "This link does not work",
        "It is incomplete or was changed on its way. Please open it again from the original mail.",
    ),
}
REASONS = {
    200: "OK",
    302: "Found",
    400: "Bad Request",
    404: "Not Found",
    408: "Request Timeout",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


class Answer:
    """One answer: a status, headers and a body. `wire` gives its bytes."""

    __slots__ = ("_head", "body", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.status = status
        self.headers = headers
        self.body = body
        lines = [f"HTTP/1.1 {status} {REASONS[status]}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._head = "\r\n".join(lines).encode("ascii")

    def wire(self, date: bytes, *, head: bool = False, close: bool = False) -> bytes:
        """The bytes to send; `head` leaves the body out, `close` announces the connection's end."""
        tail = date + (b"Connection: close\r\n\r\n" if close else b"\r\n")
        return self._head + tail if head else self._head + tail + self.body


PIXEL = Answer(200, pixel.HEADERS, pixel.GIF)
_REDIRECT = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nCache-Control: no-store\r\nLocation: "


def marked(answer: bytes, reason: str) -> bytes:
    """A hit's answer, which says that the hit is in no statistics."""
    return answer.replace(b"\r\n", f"\r\n{pixel.DROPPED}: {reason}\r\n".encode("ascii"), 1)


def redirect(location: str) -> Answer:
    """302 to `location`, which postmeter.shared.links.destination has accepted."""
    return Answer(302, {"Cache-Control": "no-store", "Location": location})


def html(status: int, title: str, text: str, *, forms: bool = False) -> Answer:
    """A small page for a person; `text` is HTML of ours. forms: it holds one that posts to its own address."""
    forms_to = "'self'" if forms else "'none'"
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "no-store",
        "Content-Security-Policy": f"default-src 'none'; style-src 'unsafe-inline'; form-action {forms_to};"
        " frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
    }
    return Answer(status, headers, _PAGE.format(title=title, text=text).encode())


NOT_FOUND_PAGE = html(404, *PAGES[404])
REFUSED_CLICKS = {404: NOT_FOUND_PAGE, 400: html(400, *PAGES[400])}
"""What a person sees of a ClickRefused, by its status."""


def refusal(path: str, status: int, code: str, message: str) -> Answer:
    """An error in the envelope of the document that `path` belongs to."""
    body = error_body(document_of(path), RequestError(status, code, message), "")
    return Answer(status, {"Content-Type": "application/json", "Cache-Control": "no-store"}, body)


def is_odd(path: bytes) -> bool:
    """Whether a tracking URL's path has more segments than it should, or dots that are to change them."""
    return path.count(b"/") != OPEN_PATH.count("/") or b".." in path or b"%2e" in path.lower()


def no_such_path(path: bytes) -> Answer:
    """404 in the envelope of the path's document."""
    return refusal(path.decode("latin-1"), 404, "NOT_FOUND", "There is nothing at this path.")


class Clock:
    """The Date header and a coarse time, refreshed by `tick` once a second.

    date: a whole header line. now: seconds of the monotonic clock. pixel: the usual answer, complete.
    """

    __slots__ = ("date", "now", "pixel")

    def __init__(self) -> None:
        self.tick()

    def tick(self) -> None:
        """Take the present time."""
        self.date = f"\r\nDate: {formatdate(usegmt=True)}\r\n".encode()
        self.now = time.monotonic()
        self.pixel = PIXEL.wire(self.date)

    def redirect(self, location: str) -> bytes:
        """The usual answer to a click, complete."""
        return _REDIRECT + location.encode("ascii") + self.date + b"\r\n"
