"""Which links of a mail are tracked: where a link leads as a browser reads it, or why it is left alone."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

from postmeter.shared.apis.mail.messages import Reason
from postmeter.shared.errors import ClickRefused, DestinationRefused, PostmeterError, TokenRejected
from postmeter.shared.links import click_url, destination
from postmeter.shared.links.tokens import TOKEN_CHARS, WITHOUT_URL, KeyRing
from postmeter.tracking.html.placeholders import holds_placeholder
from postmeter.tracking.html.scanner import Link, unescape


class Untracked(PostmeterError):
    """A link that is left as it is. `url` is it as written, its references resolved."""

    def __init__(self, url: str, reason: Reason) -> None:
        super().__init__(reason)
        self.url = url
        self.reason = reason


# What a browser makes of a URL in an attribute (WHATWG URL, 4.4): this is stripped from its ends ...
_ENDS = "".join(map(chr, range(0x21)))
# ... this is dropped anywhere ...
_DROPPED = str.maketrans("", "", "\t\n\r")
# ... and this is percent-encoded.
_BLANK = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ufeff]+")
_HTTP = re.compile(r"https?:[/\\]*([^/\\?#]*)", re.ASCII | re.IGNORECASE)

_SKIP = "data-skip-click"
# Postal's links end their scheme with this; it takes it out itself.
_POSTAL = ("http+notrack:", "https+notrack:")
_NO = frozenset({"0", "false", "off", "no", "none"})
_UNWANTED = re.compile(
    r"(?:^|-)(?:sp)?(?:no|don-?t|do-?not|un|disable|skip|exclude|ignore|without)-?(?:(?:link|click)-?)?track"
    r"|tracking-?off|(?:^|-)don-?t-?convert-?link"
)
"""In a name as _words writes it: from the beginning of a word, so that `suntrack` and `casino-tracker` do not match."""
_TRACK = re.compile(r"track(?:ing|links?|clicks?|enabled?)*$")
_NOT_LETTERS = re.compile(r"[^a-z0-9]")
_BETWEEN_WORDS = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")
_TOKENS = ("class", "rel", "xt")


class LinkRules:
    """Judges links; knows our own by the keys that sign them."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def destination(self, html: str, link: Link) -> str:
        """The URL that a click on the link leads to, as it is signed. Raises Untracked."""
        written = unescape(html[link.start : link.end]).replace("\0", "\ufffd").strip(_ENDS)
        url = written.translate(_DROPPED)
        http = _HTTP.match(url)
        if len(url) > destination.MAX_BYTES:
            raise Untracked(written, Reason.REFUSED if http else Reason.NOT_HTTP)
        if holds_placeholder(url):
            raise Untracked(written, Reason.PLACEHOLDER)
        if is_marked(link.attributes) or url[:16].lower().startswith(_POSTAL):
            raise Untracked(written, Reason.MARKED)
        if not http:
            raise Untracked(written, Reason.NOT_HTTP)
        if _BLANK.search(http.group(1)):
            raise Untracked(written, Reason.REFUSED)
        url = _BLANK.sub(_encoded, url)
        try:
            destination.location(url)
        except DestinationRefused:
            raise Untracked(written, Reason.REFUSED) from None
        if self._is_ours(url):
            raise Untracked(written, Reason.OURS)
        return url

    def _is_ours(self, url: str) -> bool:
        """Whether a token of ours is a segment of the path, wherever that path is served and however it is written."""
        target, _, query = url.partition("#")[0].partition("?")
        for segment in target.split("/")[3:]:
            token = unquote_to_bytes(segment) if len(segment) >= TOKEN_CHARS else b""
            if len(token) != TOKEN_CHARS:
                continue
            try:
                self._keys.verify_one_of(WITHOUT_URL, token)
            except TokenRejected as rejected:
                if rejected.reason != "purpose":
                    continue
                try:
                    click_url.follow(self._keys, token, query.encode())
                except ClickRefused:
                    continue
            return True
        return False


def is_marked(attributes: dict[str, str]) -> bool:
    """Whether a tag says that its link must not be tracked; names are lower-cased, values unescaped.

    Ours is `data-skip-click`. Other tools' marks are known by what they say, in whichever prefix and spelling: an
    attribute that forbids tracking (`ses:no-track`, `data-pm-no-track`, `mc:disable-tracking`, `disable-tracking=true`,
    `cm_dontconvertlink`), one that switches it off (`clicktracking=off`, `data-msys-clicktrack="0"`,
    `autotrack="false"`), a class or the like (`untracked`, `mktNoTrack`, `SPNOTRACK`), and what makes the link an
    unsubscribe link.
    """
    if not attributes:
        return False
    if _SKIP in attributes:
        return True
    for name, value in attributes.items():
        if name in _TOKENS:
            tokens = value.split()
            if any(token.lower() == "unsubscribe" or _UNWANTED.search(_words(token)) for token in tokens):
                return True
        elif "track" in name or "convert" in name or "unsubscribe" in name:
            says = _NOT_LETTERS.sub("", name)
            refuses = value.strip().lower() in _NO
            if says.endswith("unsubscribe") or _UNWANTED.search(_words(name)):
                if not refuses:
                    return True
            elif refuses and _TRACK.search(says):
                return True
    return False


def _words(name: str) -> str:
    """`mktNoTrack`, `mkt:no_track` and their like as `mkt-no-track`."""
    return _BETWEEN_WORDS.sub("-", name).lower()


def _encoded(blanks: re.Match[str]) -> str:
    return quote(blanks.group())
