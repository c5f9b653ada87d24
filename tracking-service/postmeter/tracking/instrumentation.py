"""Puts the pixel, the tracked links and the honeypot into a mail's HTML, and changes nothing else of it."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from postmeter.shared import destination
from postmeter.shared.apis.unsubscribe import UNSUBSCRIBE_PATH
from postmeter.shared.endpoints import CLICK_PATH, OPEN_PATH
from postmeter.shared.errors import DestinationRefused
from postmeter.shared.tokens import KeyRing
from postmeter.tracking.html_links import SPACE, Link, scan, unescape

# What the languages of mail templates begin a placeholder with; the sender's system fills it in later.
_PLACEHOLDERS = ("{{", "{%", "%%", "*|", "[[", "<%", "${")
_SKIP = "data-skip-click"


class TrackedLink(msgspec.Struct, frozen=True):
    """A destination as the recipient's browser would have read it, and the URL that stands for it."""

    url: str
    tracking_url: str


class Splice(msgspec.Struct, frozen=True):
    """Replace html[start:end] by `text`."""

    start: int
    end: int
    text: str


class Instrumented(msgspec.Struct, frozen=True):
    """The new HTML, its tracked links (each destination once, in order), and what was done to it.

    honeypot_url: of the link that no person sees; None where there is none.
    """

    html: str
    links: list[TrackedLink]
    splices: list[Splice]
    honeypot_url: str | None


class Instrument:
    """Makes tracking URLs and puts them into mails. `base` is the public URL without a slash at its end."""

    def __init__(self, keys: KeyRing, base: str) -> None:
        self._keys = keys
        self._open = base + OPEN_PATH
        self._click = base + CLICK_PATH
        self._unsubscribe = base + UNSUBSCRIBE_PATH

    def open_url(self, workspace: int, message: bytes) -> str:
        """The address of a message's pixel."""
        return self._open + self._keys.sign_open(workspace, message)

    def unsubscribe_url(self, workspace: int, message: bytes) -> str:
        """The address that a mail client posts to when its reader unsubscribes (RFC 8058)."""
        return self._unsubscribe + self._keys.sign_unsubscribe(workspace, message)

    def click_url(self, workspace: int, message: bytes, url: str) -> str:
        """The address that records a click and leads to `url`. Raises DestinationRefused."""
        destination.location(url)
        return self._link(self._keys.sign_click(workspace, message, url), url)

    def honeypot_url(self, workspace: int, message: bytes, url: str) -> str:
        """As `click_url`, of the link that no person sees."""
        destination.location(url)
        return self._link(self._keys.sign_honeypot(workspace, message, url), url)

    def apply(
        self, html: str, workspace: int, message: bytes, *, opens: bool, clicks: bool, honeypot: bool = False
    ) -> Instrumented:
        """Instrument a mail. Links that must not be tracked, or lead nowhere we redirect to, stay as they are.

        honeypot: add a link that no person sees. It leads where the first tracked link does; without one there is none.
        """
        markup = scan(html)
        tracked: dict[str, TrackedLink] = {}
        splices: list[Splice] = []
        for link in markup.links if clicks else ():
            # Stripped again: white space may be written as references.
            url = unescape(html[link.start : link.end]).strip(SPACE)
            if not self._is_wanted(link, url):
                continue
            if url not in tracked:
                try:
                    tracked[url] = TrackedLink(url, self.click_url(workspace, message, url))
                except DestinationRefused:
                    continue
            splices.append(Splice(link.start, link.end, tracked[url].tracking_url))
        links = list(tracked.values())
        trap = self.honeypot_url(workspace, message, links[0].url) if honeypot and links else None
        end = len(html) if markup.body_end is None else markup.body_end
        if trap is not None:
            splices.append(Splice(end, end, hidden_link(trap)))
        if opens:
            splices.append(Splice(end, end, pixel(self.open_url(workspace, message))))
        splices.sort(key=lambda splice: splice.start)
        return Instrumented(splice(html, splices), links, splices, trap)

    def _link(self, token: str, url: str) -> str:
        return f"{self._click}{token}?url={quote(url, safe='')}"

    def _is_wanted(self, link: Link, url: str) -> bool:
        if not url[:5].lower().startswith("http") or url.startswith((self._open, self._click, self._unsubscribe)):
            return False
        attributes = link.attributes
        if _SKIP in attributes or any(mark in url for mark in _PLACEHOLDERS):
            return False
        return "unsubscribe" not in f"{attributes.get('class', '')} {attributes.get('rel', '')}".lower().split()


def pixel(url: str) -> str:
    """The image tag that loads the pixel."""
    return f'<img src="{url}" width="1" height="1" alt="" style="border:0">'


def hidden_link(url: str) -> str:
    """The honeypot: nothing to see, to read out, to reach by keyboard, or to find in the mail's text.

    Empty, so that clients which drop styles show nothing either; mso-hide is Outlook's display:none.
    """
    return f'<a href="{url}" style="display:none;mso-hide:all" tabindex="-1" aria-hidden="true"></a>'


def splice(html: str, splices: list[Splice]) -> str:
    """`html` with the splices (in order, not overlapping) carried out."""
    parts: list[str] = []
    position = 0
    for one in splices:
        parts += (html[position : one.start], one.text)
        position = one.end
    parts.append(html[position:])
    return "".join(parts)
