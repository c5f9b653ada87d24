"""A pattern as an automaton whose paths are the ways that Python's matcher may try (Glushkov's construction).

A position is one place in the pattern that takes a character; an edge leads to what may take the next one. The matcher
tries one path after the other, so a text takes no more steps than it has paths. Where the automaton is not exact it has
more paths than the pattern, never fewer: a repetition with a high bound has none here, what stands behind an assertion
is tried although that fails.
"""

from __future__ import annotations

import re
from re import _compiler, _parser  # type: ignore[attr-defined]  # private: what the patterns are made of
from re import _constants as op  # type: ignore[attr-defined]
from typing import Any, NamedTuple

COPIES = 12
"""Repetitions up to this many are written out; with a higher bound they are taken as unbounded."""
LOOK = 64
"""Characters that an assertion may look at: they are a constant factor."""
_SAMPLES = [chr(code) for code in range(256)] + list(
    "\u0130\u0131\u017f\u0663\u2003\u2028\u212a\u3042\ud800\udc00\ufeff\U0001f600"
)


class Unprovable(Exception):
    """A pattern with something that the proof does not know, such as a back-reference."""


class Piece(NamedTuple):
    """A part of a pattern. `sure`: that it may end there without a character or an assertion more."""

    nullable: bool
    first: list[int]
    last: list[int]
    sure_nullable: bool
    sure_last: set[int]


class Automaton:
    """positions: the characters (indexes of `alphabet`) that each takes; edges: what follows, as often as it does."""

    def __init__(self, pattern: re.Pattern[Any]) -> None:
        self._bytes = isinstance(pattern.pattern, bytes)
        parsed = _parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
        self._state = parsed.state
        self.alphabet = _alphabet(parsed, self._bytes)
        self.positions: list[frozenset[int]] = []
        self.edges: list[list[int]] = []
        self.widest: int = parsed.getwidth()[1]
        """Characters that a match has at most."""
        self._asserts = False
        self._groups: dict[int, Any] = {}
        self.barred: dict[int, frozenset[int]] = {}
        """What does not lead out of a possessive repetition, by its position."""
        self.atoms: list[Automaton] = []
        """What possessive repetitions repeat: each time is matched once and for all."""
        self._forks = 0
        self.whole = self._sequence(parsed)
        self.accepting = set(self.whole.sure_last)

    @classmethod
    def _atom(cls, outer: Automaton, nodes: Any) -> Automaton:
        atom = cls.__new__(cls)
        atom._bytes, atom._state, atom._groups, atom._asserts = outer._bytes, outer._state, outer._groups, False
        atom.alphabet, atom.widest = outer.alphabet, outer.widest
        atom.positions, atom.edges, atom.barred, atom.atoms = [], [], {}, outer.atoms
        atom._forks = 0
        atom.whole = atom._sequence(nodes)
        atom.accepting = set(atom.whole.sure_last)
        outer.atoms.append(atom)
        return atom

    def _sequence(self, nodes: Any) -> Piece:
        piece = Piece(True, [], [], True, set())
        for node in nodes:
            piece = self._joined(piece, self._node(*node))
        return piece

    def _joined(self, left: Piece, right: Piece) -> Piece:
        self._lead(left.last, right.first)
        return Piece(
            left.nullable and right.nullable,
            left.first + right.first if left.nullable else left.first,
            left.last + right.last if right.nullable else right.last,
            left.sure_nullable and right.sure_nullable,
            right.sure_last | left.sure_last if right.sure_nullable else right.sure_last,
        )

    def _lead(self, ends: list[int], beginnings: list[int]) -> None:
        for end in ends:
            self.edges[end] += [one for one in beginnings if not self.positions[one] <= self.barred.get(end, set())]

    def _node(self, kind: Any, value: Any) -> Piece:
        match kind:
            case op.LITERAL | op.NOT_LITERAL | op.ANY | op.IN:
                return self._character(self._taken(kind, value))
            case op.SUBPATTERN if not value[1] and not value[2]:  # no flags of its own
                self._groups[value[0]] = value[3]
                return self._sequence(value[3])
            case op.GROUPREF if self._groups[value].getwidth() == (1, 1):  # one of the group's characters again
                return self._sequence(self._groups[value])
            case op.BRANCH:
                pieces = [self._sequence(branch) for branch in value[1]]
                self._forks += sum(piece.nullable for piece in pieces) > 1
                return Piece(
                    any(piece.nullable for piece in pieces),
                    [first for piece in pieces for first in piece.first],
                    [last for piece in pieces for last in piece.last],
                    any(piece.sure_nullable for piece in pieces),
                    set[int]().union(*(piece.sure_last for piece in pieces)),
                )
            case op.AT | op.ASSERT | op.ASSERT_NOT:
                if kind is not op.AT and value[1].getwidth()[1] > LOOK:
                    raise Unprovable("an assertion that looks at any number of characters")
                self._asserts = True
                return Piece(True, [], [], False, set())
            case op.MAX_REPEAT | op.MIN_REPEAT:
                return self._repeated(*value)
            case op.POSSESSIVE_REPEAT | op.ATOMIC_GROUP:
                return self._possessive(*(value if kind is op.POSSESSIVE_REPEAT else (1, 1, value)))
        raise Unprovable(str(kind))

    def _character(self, taken: frozenset[int]) -> Piece:
        self.positions.append(taken)
        self.edges.append([])
        here = len(self.positions) - 1
        return Piece(False, [here], [here], False, {here})

    def _taken(self, kind: Any, value: Any) -> frozenset[int]:
        one = _compiler.compile(_parser.SubPattern(self._state, [(kind, value)]), self._state.flags)
        return frozenset(index for index, sample in enumerate(self.alphabet) if one.fullmatch(sample))

    def _repeated(self, least: int, most: Any, body: Any) -> Piece:
        if most is not op.MAXREPEAT and most <= COPIES:
            piece = Piece(True, [], [], True, set())
            for number in range(most, 0, -1):
                one = self._sequence(body)
                self._forks += one.nullable  # once, or not at all
                piece = self._joined(one, piece)
                piece = piece if number <= least else _optional(piece)
            return piece
        copies = least if least <= COPIES else 1
        piece = Piece(True, [], [], True, set())
        for _ in range(copies - 1):
            piece = self._joined(piece, self._sequence(body))
        forks = self._forks
        loop = self._sequence(body)
        self._forks += loop.nullable
        if self._forks > forks:  # nothing is taken in several ways, which are not among the paths
            raise Unprovable("several ways to take nothing, again and again")
        self._lead(loop.last, loop.first)
        if least > COPIES:
            loop = loop._replace(sure_nullable=False, sure_last=set())
        return self._joined(piece, loop if least else _optional(loop))

    def _possessive(self, least: int, most: Any, body: Any) -> Piece:
        """Of one character: left by none of its own. Else each time is an atom, and where they end stays open."""
        if len(body) == 1 and body[0][0] in (op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN):
            piece = self._repeated(least, most, body)
            if most is op.MAXREPEAT:
                self.barred |= {end: self.positions[end] for end in piece.last}
            return piece
        atom = Automaton._atom(self, body)
        if atom.whole.nullable:
            raise Unprovable("a possessive repetition of nothing")
        loop = self._character(frozenset[int]().union(*atom.positions))
        self.edges[loop.first[0]] += loop.first
        if not atom._asserts and most is op.MAXREPEAT:  # it goes on where one character is enough
            enough = atom.accepting.intersection(atom.whole.first)
            self.barred[loop.first[0]] = frozenset[int]().union(*(atom.positions[one] for one in enough))
        if least > 1:
            loop = loop._replace(sure_last=set())
        return loop if least else _optional(loop)


def _optional(piece: Piece) -> Piece:
    return piece._replace(nullable=True, sure_nullable=True)


def _alphabet(parsed: Any, of_bytes: bool) -> list[Any]:
    """One character at least of each kind that the pattern tells apart."""
    found = set(_SAMPLES)

    def look(value: Any) -> None:
        if isinstance(value, tuple) and len(value) == 2 and value[0] in (op.LITERAL, op.NOT_LITERAL):
            found.update(_around(value[1], value[1]))
        elif isinstance(value, tuple) and len(value) == 2 and value[0] is op.RANGE:
            found.update(_around(*value[1]))
        elif isinstance(value, tuple | list | _parser.SubPattern):
            for inner in value:
                look(inner)

    look(parsed)
    if of_bytes:
        return [bytes([ord(char)]) for char in sorted(found) if ord(char) < 256]
    return sorted(found)


def _around(low: int, high: int) -> set[str]:
    codes = {low - 1, low, high, high + 1}
    folded = {case for code in (low, high) for case in (chr(code).lower(), chr(code).upper()) if len(case) == 1}
    return {chr(code) for code in codes if 0 <= code <= 0x10FFFF} | folded
