"""Kept answers, within a number of bytes: what is asked for least goes, of the workspaces that hold most."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple

from postmeter.query.cache.questions import Hand, Question

OVERHEAD = 500
"""Bytes of an entry beside the answer's own, about."""
LARGEST = 16
"""An answer that needs more than this part of the memory is not kept."""
LEFT = 8
"""When it is full, this part of the memory is made free at once."""


class KeptAnswer(NamedTuple):
    """The body of a good answer, and the entity tag that names it."""

    body: bytes
    tag: str


@dataclass
class _Held:
    """What one workspace holds: answers of one version, the one that was asked for last at the end."""

    version: int
    size: int = 0
    answers: OrderedDict[bytes, tuple[Hand, KeptAnswer]] = field(default_factory=OrderedDict)


class Store:
    """The answers of one process, of each workspace those of its latest version. most: bytes; 0: none is kept."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: dict[int, _Held] = {}
        self.bytes = 0

    def get(self, workspace: int, version: int, question: Question) -> KeptAnswer | None:
        """The answer to the question of that version; None if none is kept."""
        held = self._held.get(workspace)
        if held is None or held.version != version:
            return None
        found = held.answers.get(question.digest)
        if found is None or found[0] != question.hand:
            return None
        held.answers.move_to_end(question.digest)
        return found[1]

    def put(self, workspace: int, version: int, question: Question, answer: KeptAnswer) -> int:
        """Keep an answer, unless a later version is known. Returns how many others went for want of room."""
        size = len(answer.body) + OVERHEAD
        held = self._held.get(workspace)
        if LARGEST * size > self._most or (held is not None and held.version > version):
            return 0
        if held is None or held.version < version:
            if held is not None:
                self.bytes -= held.size
            held = self._held[workspace] = _Held(version)
        known = held.answers.pop(question.digest, None)
        grown = size - (0 if known is None else len(known[1].body) + OVERHEAD)
        held.answers[question.digest] = question.hand, answer
        held.size += grown
        self.bytes += grown
        return self._make_room() if self.bytes > self._most else 0

    def _make_room(self) -> int:
        """Take from those who hold more than their fair share until a part of the memory is free."""
        share = self._fair_share(self._most - self._most // LEFT)
        evicted = 0
        for workspace, held in list(self._held.items()):
            while held.size > share:
                _, (_, answer) = held.answers.popitem(last=False)
                size = len(answer.body) + OVERHEAD
                held.size -= size
                self.bytes -= size
                evicted += 1
            if not held.answers:
                del self._held[workspace]
        return evicted

    def _fair_share(self, room: int) -> int:
        """The bytes that each may hold so that all together have room, when who needs less leaves it to the others."""
        sizes = sorted(held.size for held in self._held.values())
        for place, size in enumerate(sizes):
            share = room // (len(sizes) - place)
            if size > share:
                return share
            room -= size
        return room
