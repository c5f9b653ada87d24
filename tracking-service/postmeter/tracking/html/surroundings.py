"""What a place in a mail's HTML stands in, so that what is put there is shown by every reader."""

from __future__ import annotations

import re

# What hides what it holds, or shows it only to some, or only of its own kind. Elements of which a browser reads the
# content as text are the scanner's matter.
_HIDING = frozenset(
    {"template", "noscript", "select", "datalist", "svg", "math", "object", "video", "audio", "canvas", "picture"}
    | {"details", "dialog", "frameset"}
)
# In these `/>` ends an element, as in XML.
_FOREIGN = frozenset({"svg", "math"})
_VOID = frozenset(
    ("area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img", "input", "keygen", "link",
     "meta", "param", "source", "track", "wbr")
)  # fmt: skip
_OPTIONS = frozenset({"option", "optgroup"})
_COMMENT_END = re.compile(r"-->|--!>")
_IF = re.compile(r"<!(?:--)?\[if", re.ASCII | re.IGNORECASE)
_END_IF = re.compile(r"<!(?:--\s{0,9}<!)?\[endif", re.ASCII | re.IGNORECASE)


class Surroundings:
    """Follows a scan, tag by tag; `place` then tells where to put something.

    Two readers count: a browser, to which a conditional comment is a comment, and Outlook, which shows or hides what
    stands between its `[if` and `[endif]`. What either would not show is not a place for it.
    """

    def __init__(self, html: str) -> None:
        self._html = html
        self._open: list[tuple[str, int]] = []
        self._conditional: int | None = None  # where it begins
        self._comment = 0, 0  # the last conditional one, as a browser sees it
        self._body_end: int | None = None
        self._unclosed: int | None = None

    def tag(self, name: str, start: int, end: int) -> None:
        """A tag, `/name` for an end tag, that stands at [start, end)."""
        if name == "/body":
            if self._since(start) == start:
                self._body_end = start
        elif self._open:
            self._inside(name, start, end)
        elif name in _HIDING and not (name in _FOREIGN and self._html.endswith("/>", start, end)):
            self._open.append((name, self._since(start)))

    def _inside(self, name: str, start: int, end: int) -> None:
        """A tag inside something that hides.

        An end tag of anything but the innermost element may close what is around it or nothing: browsers have a rule
        for each pair. Here it closes nothing, so that what is taken for closed is closed for every reader.
        """
        if name[:1] == "/":
            element, opened = self._open[-1]
            if element == name[1:] and opened >= self._for_some_since(start, opened):
                self._open.pop()
            return
        around = self._open[-1][0]
        if name in _VOID or (around == "select" and name in _OPTIONS):
            return
        if self._html.endswith("/>", start, end) and any(element in _FOREIGN for element in (around, name)):
            return
        self._open.append((name, start))

    def conditional(self, start: int) -> None:
        """A comment or declaration, which may begin or end what is for some readers only."""
        if _IF.match(self._html, start):
            since = self._for_some_since(start, start)
            if self._conditional is None:
                self._conditional = since
            # Each search begins where the one before has ended.
            if self._html.startswith("<!--", start) and start >= self._comment[1]:
                found = _COMMENT_END.search(self._html, start + 4)
                self._comment = since, found.end() if found else len(self._html) + 1
        elif _END_IF.match(self._html, start):
            self._conditional = None

    def unclosed(self, start: int) -> None:
        """At `start` begins what never ends; nothing comes after it."""
        self._unclosed = start

    def place(self) -> int:
        """Before the last `</body` that readers see, else at the end, else before what is never closed."""
        if self._body_end is not None:
            return self._body_end
        return self._since(len(self._html) if self._unclosed is None else self._unclosed)

    def _since(self, position: int) -> int:
        """Where begins what hides `position`; `position` itself if nothing does."""
        opened = self._open[0][1] if self._open else position
        return min(opened, self._for_some_since(position, position))

    def _for_some_since(self, position: int, otherwise: int) -> int:
        """Where begins what shows `position` to some readers only; `otherwise` if they all see it."""
        since = otherwise if self._conditional is None else self._conditional
        return min(since, self._comment[0]) if position < self._comment[1] else since
