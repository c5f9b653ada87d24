"""Prepared answers of the tracking URLs, as bytes."""

from __future__ import annotations

import time
from email.utils import formatdate

from postmeter.shared.apis.codes import Code
from postmeter.shared.apis.table import document_of
from postmeter.shared.errors import RequestError
from postmeter.shared.links import hits
from postmeter.shared.links.hits import DROPPED, GIF, PIXEL_HEADERS

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


class PreparedAnswer:
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


PIXEL = PreparedAnswer(200, PIXEL_HEADERS, GIF)
REFUSED_CLICKS = {status: PreparedAnswer(*page) for status, page in hits.REFUSED.items()}
"""What a ClickRefused is answered with, by its status."""


def marked(answer: bytes, reason: str) -> bytes:
    """A hit's answer, which says that the hit is in no statistics."""
    return answer.replace(b"\r\n", f"\r\n{DROPPED}: {reason}\r\n".encode("ascii"), 1)


def redirect(location: str) -> PreparedAnswer:
    """302 to `location`, which postmeter.shared.links.destination has accepted."""
    return PreparedAnswer(hits.REDIRECT_STATUS, hits.redirect_headers(location))


# All but the location: a click's usual answer is made of bytes alone.
_REDIRECT = redirect("").wire(b"").removesuffix(b"\r\n")


def refusal(path: str, status: int, code: Code, message: str) -> PreparedAnswer:
    """An error in the envelope of the document that `path` belongs to."""
    body = document_of(path).error_body(RequestError(status, code, message), "")
    return PreparedAnswer(status, {"Content-Type": "application/json", "Cache-Control": "no-store"}, body)


def no_such_path(path: bytes) -> PreparedAnswer:
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
