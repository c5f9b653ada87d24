"""A scanner for the links of an HTML mail, in one pass and linear time.

It tokenises as browsers do (WHATWG HTML, 13.2.5) but builds nothing: it tells where the values of `href` stand, and
where something can be put in that every reader shows, so that a caller can write there and leave every other
character alone. Conditional comments (`<!--[if mso]>`) are looked into, for Outlook shows them; other comments, scripts
and styles are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.entities import html5

import msgspec

from postmeter.shared.errors import PostmeterError
from postmeter.tracking.html.surroundings import Surroundings

_MARKUP = re.compile(r"<(?:(?P<tag>/?[A-Za-z][^ \t\n\f\r/>]*+)|(?P<comment>!--)|(?P<bogus>[!?/]))")
_CONDITIONAL = re.compile(r"<!--\[if[^>]*>", re.ASCII | re.IGNORECASE)
_COMMENT_END = re.compile(r"--!?>")
_GAP = re.compile(r"[ \t\n\f\r/]*+")
_NAME = re.compile(r"[^ \t\n\f\r/>][^ \t\n\f\r/>=]*+")
_EQUALS = re.compile(r"[ \t\n\f\r]*+=[ \t\n\f\r]*+")
_UNQUOTED = re.compile(r"[^ \t\n\f\r>]*+")
_REFERENCE = re.compile(r"&(?:#[0-9]++;?|#[xX][0-9a-fA-F]++;?|[A-Za-z][A-Za-z0-9]*+;?)")
_RAW_TEXT = {
    name: re.compile(rf"</{name}(?=[ \t\n\f\r/>])", re.ASCII | re.IGNORECASE)
    for name in ("script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes")
}
# What numeric references to the C1 range mean (WHATWG HTML, 13.2.5.80).
_CP1252 = {
    byte: bytes([byte]).decode("cp1252") for byte in range(0x80, 0xA0) if byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)
}


# How the AMP part of a mail begins: <html amp4email>, or with the sign, which some editors write as a picture.
_AMP = ("amp4email", "\u26a14email")
# What browsers strip from a URL in an attribute (WHATWG HTML, 2.4.1).
SPACE = " \t\n\f\r"


MAX_LINKS = 1000
"""Of one mail, tracked or not: a tracked one makes a hundred bytes and more of its own twice, so that links alone
would make an answer ten times as large as what was sent."""
MAX_PIECES = 100_000
"""Tags, comments, attributes, and references in those of links: each takes microseconds, a mail of nothing else ten
seconds, and other mails wait for it."""
# What a tag may say about its link stands among the first; a tag may have a million of them.
MAX_ATTRIBUTES = 100


class TooManyLinks(PostmeterError):
    """A mail has more than MAX_LINKS links."""


class TooMuchMarkup(PostmeterError):
    """A mail has more than MAX_PIECES pieces of markup."""


class Link(msgspec.Struct, frozen=True):
    """An `href` of an `<a>`, `<area>` or VML shape: its value stands at [start, end), as written.

    White space around the value is left out, for browsers strip it.
    attributes: the tag's other attributes, names lower-cased, values unescaped.
    """

    start: int
    end: int
    attributes: dict[str, str]


class Markup(msgspec.Struct):
    """What a scan found.

    place: where every reader shows what is put in: before the last `</body`, else at the end, but never inside
    something that hides it or that is never closed. is_amp: whether it is the AMP part of a mail. pieces: of
    markup, so far.
    """

    links: list[Link]
    place: int
    is_amp: bool = False
    pieces: int = 0

    def count(self, pieces: int = 1) -> None:
        """Count so many more. Raises TooMuchMarkup."""
        self.pieces += pieces
        if self.pieces > MAX_PIECES:
            raise TooMuchMarkup


def unescape(value: str) -> str:
    """An attribute's value with its character references resolved once, as browsers do."""
    return _REFERENCE.sub(_resolve, value) if "&" in value else value


def _resolve(match: re.Match[str]) -> str:
    written = match.group()
    name = written[1:]
    if name.startswith("#"):
        digits = name[1:].rstrip(";")
        hexadecimal = digits[0] in "xX"
        significant = (digits[1:] if hexadecimal else digits).lstrip("0")
        code = int(significant or "0", 16 if hexadecimal else 10) if len(significant) < 9 else 0x110000
        if code == 0 or code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            return "\ufffd"
        return _CP1252.get(code) or chr(code)
    following = match.string[match.end() : match.end() + 1]
    if not name.endswith(";") and following == "=":
        return written
    return html5.get(name, written)


def scan(html: str) -> Markup:
    """Find all links, and a place that every reader shows. Raises TooManyLinks or TooMuchMarkup as soon as it is."""
    markup = Markup([], 0)
    surroundings = Surroundings(html)
    position = 0
    while (match := _MARKUP.search(html, position)) is not None:
        start = match.start()
        markup.count()
        if match.group("comment"):
            end = _after_comment(html, start, surroundings)
        elif match.group("bogus"):
            end = html.find(">", match.end()) + 1
            surroundings.conditional(start)
        else:
            end = _tag(html, match, markup, surroundings)
        if end <= 0:
            surroundings.unclosed(start)
            break
        position = end
    markup.place = surroundings.place()
    return markup


def _after_comment(html: str, start: int, surroundings: Surroundings) -> int:
    """Where to go on after `<!--`: 0 if the comment never ends."""
    conditional = _CONDITIONAL.match(html, start)
    if conditional is not None:
        surroundings.conditional(start)
        return conditional.end()
    for empty in ("<!-->", "<!--->"):
        if html.startswith(empty, start):
            return start + len(empty)
    end = _COMMENT_END.search(html, start + 4)
    if end is None:
        return 0
    surroundings.conditional(start)
    return end.end()


def _tag(html: str, match: re.Match[str], markup: Markup, surroundings: Surroundings) -> int:
    """Read one tag; where to go on, or 0 if it, or the text that only it can hold, never ends."""
    name = match.group("tag").lower()
    # Outlook's buttons are VML: <v:roundrect href="...">.
    is_link = name in ("a", "area") or name.startswith("v:")
    attributes: dict[str, str] = {}
    href: tuple[int, int] | None = None
    position = match.end()
    for attribute, start, end, after in _attributes(html, match.end()):
        position = after
        markup.count(bool(attribute) + is_link * html.count("&", start, end))
        if is_link and attribute == "href":
            href = href or (start, end)
        elif is_link and len(attributes) < MAX_ATTRIBUTES:
            attributes.setdefault(attribute, unescape(html[start:end]))
        elif name == "html" and attribute.replace("\ufe0f", "") in _AMP:
            markup.is_amp = True
    if position <= 0:
        return 0
    if href is not None:
        if len(markup.links) >= MAX_LINKS:
            raise TooManyLinks
        markup.links.append(Link(*_trimmed(html, *href), attributes))
    if name in _RAW_TEXT:
        closing = _RAW_TEXT[name].search(html, position)
        return closing.start() if closing else 0
    if name == "plaintext":
        return 0
    surroundings.tag(name, match.start(), position)
    return position


def _trimmed(html: str, start: int, end: int) -> tuple[int, int]:
    value = html[start:end]
    text = value.lstrip(SPACE)
    start += len(value) - len(text)
    return start, start + len(text.rstrip(SPACE))


def _past(pattern: re.Pattern[str], html: str, position: int) -> int:
    """Where a match at `position` ends."""
    match = pattern.match(html, position)
    return match.end() if match else position


def _attributes(html: str, position: int) -> Iterator[tuple[str, int, int, int]]:
    """Each attribute of a tag: name, its value's start and end, and where to go on.

    The last item has the name "" and goes on after the tag's `>`, or at 0 if there is none.
    """
    while True:
        position = _past(_GAP, html, position)
        name = _NAME.match(html, position)
        if name is None:
            yield "", 0, 0, position + 1 if html.startswith(">", position) else 0
            return
        position = start = end = name.end()
        equals = _EQUALS.match(html, position)
        if equals is not None:
            start = equals.end()
            quote = html[start : start + 1]
            if quote in ('"', "'") and quote:
                start += 1
                end = html.find(quote, start)
                if end < 0:
                    yield "", 0, 0, 0
                    return
                position = end + 1
            else:
                position = end = _past(_UNQUOTED, html, start)
        yield name.group().lower(), start, end, position
