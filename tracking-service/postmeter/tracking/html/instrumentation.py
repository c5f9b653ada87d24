"""Puts the pixel, the tracked links and the honeypot into a mail's HTML, and changes nothing else of it."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from postmeter.shared.apis.documents.vectis import CLICK_PATH, OPEN_PATH
from postmeter.shared.apis.mail import messages as api
from postmeter.shared.apis.mail.unsubscribe import UNSUBSCRIBE_PATH
from postmeter.shared.apis.privacy.preferences import PREFERENCES_PATH
from postmeter.shared.links.tokens import KeyRing
from postmeter.shared.privacy.levels import Level, Levels
from postmeter.tracking.html.link_rules import LinkRules, Untracked
from postmeter.tracking.html.scanner import scan

MOST_LISTED = 100
"""Links of one mail that are listed as not tracked."""
LISTED_CHARS = 200
"""Characters of such a link's URL that are reported."""


class Splice(msgspec.Struct, frozen=True):
    """Replace html[start:end] by `text`."""

    start: int
    end: int
    text: str


class Instrumented(msgspec.Struct, frozen=True):
    """The new HTML, its tracked links (each destination once, in order), and what was done to it.

    untracked: what was left alone, each once, in order, at most MOST_LISTED.
    honeypot_url: of the link that no person sees; None where there is none.
    """

    html: str
    links: list[api.Link]
    untracked: list[api.Untracked]
    splices: list[Splice]
    honeypot_url: str | None


class Instrument:
    """Makes tracking URLs and puts them into mails. `base` is the public URL without a slash at its end."""

    def __init__(self, keys: KeyRing, base: str) -> None:
        self._keys = keys
        self._rules = LinkRules(keys)
        self._open = base + OPEN_PATH
        self._click = base + CLICK_PATH
        self._unsubscribe = base + UNSUBSCRIBE_PATH
        self._preferences = base + PREFERENCES_PATH

    def open_url(self, workspace: int, message: bytes, level: Level = Level.FULL) -> str:
        """The address of a message's pixel; at ANONYMOUS `message` is the anonymous source's id."""
        return self._open + self._keys.sign_open(workspace, message, level)

    def unsubscribe_url(self, workspace: int, message: bytes) -> str:
        """The address that a mail client posts to when its reader unsubscribes (RFC 8058)."""
        return self._unsubscribe + self._keys.sign_unsubscribe(workspace, message)

    def preferences_url(self, workspace: int, message: bytes) -> str:
        """The address where a message's reader chooses what may be recorded, for the mail's footer."""
        return self._preferences + self._keys.sign_preferences(workspace, message)

    def click_url(self, workspace: int, message: bytes, url: str, level: Level = Level.FULL) -> str:
        """The address that records a click and leads to `url`, which postmeter.shared.links.destination accepts."""
        return self._link(self._keys.sign_click(workspace, message, url, level), url)

    def honeypot_url(self, workspace: int, message: bytes, url: str) -> str:
        """As `click_url`, of the link that no person sees. It tells of one message, so only full tracking has it."""
        return self._link(self._keys.sign_honeypot(workspace, message, url), url)

    def apply(
        self, html: str, workspace: int, message: bytes, levels: Levels, *, source: bytes = b"", honeypot: bool = False
    ) -> Instrumented:
        """Instrument a mail. Links that must not be tracked, or lead nowhere we redirect to, stay as they are.

        Raises TooManyLinks, TooMuchMarkup.

        levels: OFF: no pixel, links untouched; ANONYMOUS: they name `source` instead of the message.
        honeypot: add a link that no person sees. It leads where the first tracked link does; without one there is none.
        """
        opened, clicked = (source if level is Level.ANONYMOUS else message for level in levels)
        markup = scan(html)
        tracked: dict[str, api.Link] = {}
        untracked: dict[api.Untracked, None] = {}
        splices: list[Splice] = []
        for link in markup.links if levels.clicks is not Level.OFF else ():
            try:
                url = self._rules.destination(html, link)
            except Untracked as left:
                if len(untracked) < MOST_LISTED:
                    untracked.setdefault(api.Untracked(_cut(left.url), left.reason))
                continue
            if url not in tracked:
                tracked[url] = api.Link(url, self.click_url(workspace, clicked, url, levels.clicks))
            splices.append(Splice(link.start, link.end, tracked[url].tracking_url))
        links = list(tracked.values())
        wanted = honeypot and links and levels.clicks is Level.FULL
        trap = self.honeypot_url(workspace, message, links[0].url) if wanted else None
        end = markup.place
        if trap is not None:
            splices.append(Splice(end, end, hidden_link(trap, amp=markup.is_amp)))
        if levels.opens is not Level.OFF:
            open_url = self.open_url(workspace, opened, levels.opens)
            if markup.is_amp and not open_url.startswith("https://"):
                untracked[api.Untracked(_cut(open_url), api.Reason.AMP_NEEDS_HTTPS)] = None
            else:
                splices.append(Splice(end, end, pixel(open_url, amp=markup.is_amp)))
        splices.sort(key=lambda splice: splice.start)
        return Instrumented(splice(html, splices), links, list(untracked), splices, trap)

    def _link(self, token: str, url: str) -> str:
        return f"{self._click}{token}?url={quote(url, safe='')}"


def pixel(url: str, *, amp: bool = False) -> str:
    """The image tag that loads the pixel. amp: as AMP for Email has it, which takes no <img> and no `style`."""
    if amp:
        return f'<amp-img src="{url}" width="1" height="1" alt=""></amp-img>'
    return f'<img src="{url}" width="1" height="1" alt="" style="border:0">'


def hidden_link(url: str, *, amp: bool = False) -> str:
    """The honeypot: nothing to see, to read out, to reach by keyboard, or to find in the mail's text.

    Empty, so that clients which drop styles show nothing either; mso-hide is Outlook's display:none.
    """
    hidden = "hidden" if amp else 'style="display:none;mso-hide:all"'
    return f'<a href="{url}" {hidden} tabindex="-1" aria-hidden="true"></a>'


def _cut(url: str) -> str:
    return url if len(url) <= LISTED_CHARS else url[: LISTED_CHARS - 1] + "…"


def splice(html: str, splices: list[Splice]) -> str:
    """`html` with the splices (in order, not overlapping) carried out."""
    parts: list[str] = []
    position = 0
    for one in splices:
        parts += (html[position : one.start], one.text)
        position = one.end
    parts.append(html[position:])
    return "".join(parts)
