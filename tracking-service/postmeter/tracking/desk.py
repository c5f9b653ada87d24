"""What a tracking URL gets: which answer, and whether a hit is recorded."""

from __future__ import annotations

import time
from urllib.parse import unquote_to_bytes

from postmeter.shared import destination
from postmeter.shared.errors import DestinationRefused, TokenRejected
from postmeter.shared.events import Mark
from postmeter.shared.metrics import TrackingMetrics
from postmeter.shared.records import Hit, encode
from postmeter.shared.tokens import HONEYPOT, LINKS, OPEN, KeyRing
from postmeter.tracking import answers
from postmeter.tracking.answers import Answer

_OPENS = (OPEN,)
# Plain numbers, for members of an enumeration take longer to look up and to encode.
_UNMARKED, _HEAD, _HONEYPOT = int(Mark.NONE), int(Mark.HEAD), int(Mark.HONEYPOT)


class LinkRefused(Exception):
    """A click's URL that leads nowhere: `answer` is what the person sees, `reason` the metric's label."""

    def __init__(self, answer: Answer, reason: str) -> None:
        super().__init__(reason)
        self.answer = answer
        self.reason = reason


def _absent(reason: str = "url") -> LinkRefused:
    return LinkRefused(answers.NOT_FOUND_PAGE, reason)


def _damaged() -> LinkRefused:
    return LinkRefused(answers.DAMAGED_PAGE, "url")


def _is_url(name: bytes) -> bool:
    return name == b"url" or (b"%" in name and unquote_to_bytes(name) == b"url")


def url_of(query: bytes) -> str:
    """The one `url` parameter, decoded exactly once; `+` stays `+` (ABUSE.md 7, 13-16).

    Raises LinkRefused when there is none or more than one, or it is no UTF-8 text without NUL.
    """
    found: bytes | None = None
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        if _is_url(name):
            if found is not None:
                raise _absent()
            found = value
    if not found:
        raise _absent()
    url = unquote_to_bytes(found) if b"%" in found else found
    if b"\0" in url:
        raise _damaged()
    try:
        return url.decode()
    except UnicodeDecodeError:
        raise _damaged() from None


class Desk:
    """Judges tracking URLs. It records nothing: that is the committer's part."""

    def __init__(self, keys: KeyRing, metrics: TrackingMetrics) -> None:
        self._verify = keys.verify_one_of
        self._metrics = metrics

    def drop(self, reason: str) -> None:
        """Count a hit that is answered but not recorded."""
        self._metrics.dropped.labels(reason).inc()

    def open(self, token: bytes, prefetch: bool, agent: bytes, ip: str) -> bytes | None:
        """The encoded record of an open, or None where its token is not genuine."""
        try:
            _, workspace, message = self._verify(_OPENS, token)
        except TokenRejected as rejected:
            self.drop(rejected.reason)
            return None
        return encode(Hit(time.time_ns() // 1000, workspace, message, "", prefetch, agent, ip))

    def click(
        self, token: bytes, query: bytes, prefetch: bool, agent: bytes, ip: str, *, is_head: bool
    ) -> tuple[str, bytes]:
        """(Location, encoded record) of a click, or of a visit of the honeypot. Raises LinkRefused."""
        try:
            url = url_of(query)
            purpose, workspace, message = self._verify(LINKS, token, url.encode())
            location = destination.location(url)
        except TokenRejected as rejected:
            self.drop(rejected.reason)
            raise _absent(rejected.reason) from None
        except DestinationRefused:
            self.drop("destination")
            raise _absent("destination") from None
        except LinkRefused as refused:
            self.drop(refused.reason)
            raise
        mark = _HEAD if is_head else _HONEYPOT if purpose == HONEYPOT else _UNMARKED
        return location, encode(Hit(time.time_ns() // 1000, workspace, message, url, prefetch, agent, ip, mark))
