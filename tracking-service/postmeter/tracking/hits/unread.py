"""What a client has sent and nobody has read yet: request heads, taken one by one, each within the limits."""

from __future__ import annotations

from postmeter.shared.http import refusals
from postmeter.shared.http.refusals import FIELDS_LIMIT, HEADERS_LIMIT, LINE_LIMIT

END = b"\r\n\r\n"
"""Of a head."""


class Unread(bytearray):
    """The bytes, in the order in which they came."""

    __slots__ = ("_searched",)

    def __init__(self) -> None:
        self._searched = 0

    def head(self) -> bytes | None:
        """The first head, which stays here; None if it has not all come. Raises RequestError for what cannot be one."""
        del self[: len(self) - len(self.lstrip(b"\r\n"))]  # empty lines may come before a request
        end = self.find(END, self._searched)
        if end >= 0:
            head = bytes(self[: end + len(END)])
            _check(head)
            return head
        self._searched = max(0, len(self) - len(END) + 1)
        _check(self)
        return None

    def take(self, size: int) -> None:
        """The first `size` bytes, a whole head, have been read."""
        del self[:size]
        self._searched = 0


def _check(head: bytes | bytearray) -> None:
    """Raises RequestError where a head, or what has come of it, is beyond the limits or is not HTTP."""
    line = head.find(b"\r\n", 0, LINE_LIMIT + 2)
    if line < 0 and len(head) > LINE_LIMIT:
        raise refusals.line_too_long()
    if len(head) - max(line, 0) > FIELDS_LIMIT:
        raise refusals.too_large()
    if head.count(b"\n") > HEADERS_LIMIT + 2:
        raise refusals.too_many()
    if head and (not 65 <= head[0] <= 90 or head.count(b"\n") != head.count(b"\r\n")):
        raise refusals.malformed()
