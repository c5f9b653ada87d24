"""Whether some text has more and more ways through an automaton: then a failing match takes more than linear time.

The criteria are those of Weber and Seidl (1991): the number of ways grows by a power of the text's length exactly if a
word leads from p to p, from p to q and from q to q (p is not q), and exponentially if a word leads from p to p in two
ways. A search is a loop over all characters before the pattern, left anew for each attempt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from tests.patterns.automaton import Automaton, Unprovable
from tests.patterns.inventory import Use

WIDEST = 1_000
"""Characters that an attempt of a search may look at: they are a constant factor."""
START = -1
"""The loop of a search."""


def slow(pattern: re.Pattern[Any], use: Use) -> str:
    """Why the pattern may take more than linear time when it is used so; "" if it does not."""
    try:
        automaton = Automaton(pattern)
    except Unprovable as reason:
        return f"cannot be proved: {reason}"
    for atom in automaton.atoms:
        # One is matched behind the other, so what each has looked at in vain counts again and again.
        if why := _Ways(atom).several() or _Ways(atom, without=atom.accepting).circle():
            return f"within a possessive repetition: {why}"
    if why := _Ways(automaton).several(automaton.accepting if use is Use.MATCH else set()):
        return why
    if use <= Use.ANCHORED or automaton.widest <= WIDEST:
        return ""
    # An attempt that fails has met no place where the pattern could have ended.
    kept = _Ways(automaton, without=automaton.accepting if use is Use.SEARCH else set())
    return kept.anew(set() if use is Use.SEARCH else automaton.accepting)


class _Ways:
    """An automaton's positions and edges, without some of them."""

    def __init__(self, automaton: Automaton, without: Iterable[int] = ()) -> None:
        gone = set(without)
        self._takes, self._barred = automaton.positions, automaton.barred
        self._alphabet = automaton.alphabet
        self._first = [one for one in automaton.whole.first if one not in gone]
        self._next = [
            [] if here in gone else [one for one in after if one not in gone]
            for here, after in enumerate(automaton.edges)
        ]
        self._reach = [self._reached(here) for here in range(len(self._next))]
        self._circles = {here for here, reached in enumerate(self._reach) if here in reached}

    def _reached(self, here: int) -> set[int]:
        found, new = set[int](), [*self._next[here]]
        while new:
            one = new.pop()
            if one not in found:
                found.add(one)
                new += self._next[one]
        return found

    def _component(self, here: int) -> set[int]:
        return {one for one in self._reach[here] if here in self._reach[one]}

    def circle(self) -> str:
        """Any loop at all."""
        return "looks on and on for an end that may not come" if self._circles else ""

    def several(self, accepting: Iterable[int] = ()) -> str:
        """Two ways through one loop, or from one loop to the next, for the same text.

        Where the pattern may end as it stands (`accepting`), nothing is tried again.
        """
        failing = _without(self, set(accepting))
        for p in sorted(failing._circles):
            inside = failing._component(p)
            if any(failing._next[i].count(one) > 1 for i in inside for one in inside):
                return f"a loop in a loop around {self._shown(p)}"
            if failing._meets({(p, p)}, (p, p), (inside, inside), apart=True):
                return f"two ways through the loop at {self._shown(p)}"
        for p in sorted(self._circles):
            for q in sorted(failing._circles & self._reach[p] - {p}):
                walls = (self._component(p), self._reach[p], failing._component(q))
                if self._meets({(p, p, q)}, (p, q, q), walls):
                    return f"loops at {self._shown(p)} and {self._shown(q)} take the same text"
        return ""

    def anew(self, accepting: set[int]) -> str:
        """A loop that a search enters at each position of a text that keeps it going, and leaves in vain."""
        failing = _without(self, accepting)
        for q in sorted(failing._circles):
            beginnings: set[tuple[int, ...]] = {
                (START, one, after)
                for one in self._first
                for after in failing._next[q]
                if self._takes[one] & (failing._led(q, after) or frozenset())
            }
            walls = ({START}, set(range(len(self._next))), failing._component(q))
            if (START, q, q) in beginnings or self._meets(beginnings, (START, q, q), walls):
                return f"each attempt of a search may run through the loop at {self._shown(q)}"
        return ""

    def _after(self, here: int) -> list[int]:
        return [START] if here == START else self._next[here]

    def _meets(
        self,
        beginnings: set[tuple[int, ...]],
        end: tuple[int, ...],
        walls: tuple[set[int], ...],
        apart: bool = False,
    ) -> bool:
        """Whether one text leads from a beginning to the end, each way within its wall; `apart`: by different ways."""
        seen = {(one, False) for one in beginnings}
        new = list(seen)
        while new:
            places, parted = new.pop()
            for following in self._together(places, walls):
                now = parted or (apart and following[0] != following[1])
                if following == end and (now or not apart):
                    return True
                if (following, now) not in seen:
                    seen.add((following, now))
                    new.append((following, now))
        return False

    def _together(self, places: tuple[int, ...], walls: tuple[set[int], ...]) -> list[tuple[int, ...]]:
        """Where one character may lead all of them."""
        found: list[tuple[tuple[int, ...], frozenset[int] | None]] = [((), None)]
        for here, wall in zip(places, walls, strict=True):
            grown = []
            for reached, shared in found:
                for one in self._after(here):
                    takes = self._led(here, one)
                    both = shared if takes is None else takes if shared is None else shared & takes
                    if one in wall and (both is None or both):
                        grown.append(((*reached, one), both))
            found = grown
        return [reached for reached, _ in found]

    def _led(self, here: int, one: int) -> frozenset[int] | None:
        """The characters that lead from one position to the next; None: all."""
        if one == START:
            return None
        return self._takes[one] if here == one else self._takes[one] - self._barred.get(here, frozenset())

    def _shown(self, here: int) -> str:
        takes = sorted(self._takes[here])
        some = [self._alphabet[index] for index in takes[:3]]
        return f"{some!r}{' and more' if len(takes) > 3 else ''} (position {here})"


def _without(ways: _Ways, accepting: set[int]) -> _Ways:
    copy = object.__new__(_Ways)
    copy.__dict__.update(ways.__dict__)
    copy._next = [
        [] if here in accepting else [one for one in after if one not in accepting]
        for here, after in enumerate(ways._next)
    ]
    copy._reach = [copy._reached(here) for here in range(len(copy._next))]
    copy._circles = {here for here, reached in enumerate(copy._reach) if here in reached}
    return copy
