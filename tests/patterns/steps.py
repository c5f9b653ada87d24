"""A matcher that counts: what Python's does, one character after the other, in steps instead of seconds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from re import _compiler, _parser  # type: ignore[attr-defined]  # private: what the patterns are made of
from re import _constants as op  # type: ignore[attr-defined]
from typing import Any

from tests.patterns.inventory import Use

MOST = 100_000
"""Nothing is counted beyond."""


class _Endless(Exception):
    """MOST steps are done."""


class Steps:
    """One pattern. `taken` counts what was tried."""

    def __init__(self, pattern: re.Pattern[Any]) -> None:
        self._parsed = _parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
        self._ones = dict[tuple[Any, int], re.Pattern[Any]]()
        self._text: Any = ""
        self.taken = 0

    def of(self, text: Any, use: Use) -> int:
        """The steps of a whole match, or of all that a search finds; at most MOST."""
        self._text, self.taken = text, 0
        position = 0
        while position <= len(text):
            nodes = list(self._parsed)
            if use is Use.ANCHORED:  # as fullmatch, which gives up least early
                nodes.append((op.AT, op.AT_END_STRING))
            try:
                end = next(self._at(nodes, position), None)
            except _Endless:
                return MOST
            if use <= Use.ANCHORED or (use is Use.SEARCH and end is not None):
                break
            position = max(position + 1, end or 0)
        return self.taken

    def _at(self, nodes: list[Any], position: int) -> Iterator[int]:
        """Where the nodes may end, the matcher's first choice first."""
        if not nodes:
            yield position
            return
        (kind, value), rest = nodes[0], nodes[1:]
        for end in self._node(kind, value, position):
            yield from self._at(rest, end)

    def _node(self, kind: Any, value: Any, position: int) -> Iterator[int]:
        self.taken += 1
        if self.taken > MOST:
            raise _Endless
        match kind:
            case op.SUBPATTERN | op.BRANCH:
                for branch in value[1] if kind is op.BRANCH else [value[3]]:
                    yield from self._at(list(branch), position)
            case op.MAX_REPEAT:
                least, most, body = value
                yield from self._greedy(least, most, body, position)
            case op.MIN_REPEAT:
                least, most, body = value
                yield from self._lazy(least, most, body, position)
            case op.POSSESSIVE_REPEAT | op.ATOMIC_GROUP:
                least, most, body = value if kind is op.POSSESSIVE_REPEAT else (1, 1, value)
                yield from self._possessive(least, most, body, position)
            case op.ASSERT | op.ASSERT_NOT | op.AT:
                if self._one(kind, value).match(self._text, position):
                    yield position
            case _:
                if found := self._one(kind, value).match(self._text, position):
                    yield found.end()

    def _one(self, kind: Any, value: Any) -> re.Pattern[Any]:
        key = kind, id(value)
        if key not in self._ones:
            state = self._parsed.state
            self._ones[key] = _compiler.compile(_parser.SubPattern(state, [(kind, value)]), state.flags)
        return self._ones[key]

    def _greedy(self, least: int, most: Any, body: Any, position: int, last: int = -1) -> Iterator[int]:
        """last: where the time before began: behind one that took nothing there is no other."""
        if (most is op.MAXREPEAT or most > 0) and (least > 0 or position != last):
            fewer = most if most is op.MAXREPEAT else most - 1
            for end in self._at(list(body), position):
                yield from self._greedy(max(least - 1, 0), fewer, body, end, position)
        if least <= 0:
            yield position

    def _lazy(self, least: int, most: Any, body: Any, position: int, last: int = -1) -> Iterator[int]:
        if least <= 0:
            yield position
        if (most is op.MAXREPEAT or most > 0) and (least > 0 or position != last):
            fewer = most if most is op.MAXREPEAT else most - 1
            for end in self._at(list(body), position):
                yield from self._lazy(max(least - 1, 0), fewer, body, end, position)

    def _possessive(self, least: int, most: Any, body: Any, position: int) -> Iterator[int]:
        times = 0
        while most is op.MAXREPEAT or times < most:
            end = next(self._at(list(body), position), None)
            if end is None or end == position:
                break
            position, times = end, times + 1
        if times >= least:
            yield position
