"""What recipients choose, within one flush: of several choices the latest holds, whichever arrives last."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from postmeter.aggregator.fold.states import Key
from postmeter.shared.privacy.levels import Ceilings, Choice, Choices, Levels
from postmeter.shared.stream.records import Consent

Recipient = tuple[int, str]
"""(workspace, the hash of the address)"""
Saying = tuple[int, int]
"""(when, the Choice): the greatest holds; of two at the same moment that which allows less, a refusal before all."""
NEVER: Saying = (-1, Choice.UNKNOWN)
_ALLOWS_LESS = {Choice.GRANTED: 0, Choice.UNKNOWN: 1, Choice.DENIED: 2}


@dataclass(frozen=True)
class Said:
    """The latest that a recipient has said of opens, and of clicks."""

    opens: Saying = NEVER
    clicks: Saying = NEVER

    def then(self, other: Said) -> Said:
        """With what else was said."""
        return Said(max(self.opens, other.opens, key=_order), max(self.clicks, other.clicks, key=_order))

    @property
    def choices(self) -> Choices:
        """What holds now."""
        return Choices(Choice(self.opens[1]), Choice(self.clicks[1]))


@dataclass
class Chosen:
    """Choices of a flush. said: the latest of each recipient. ceilings: what their workspaces have said.

    found: messages that may have too high levels, and whose they are; unregistered: those that nobody has registered;
    whole: whether these are all.
    """

    said: dict[Recipient, Said] = field(default_factory=dict)
    ceilings: dict[int, Ceilings] = field(default_factory=dict)
    found: dict[Key, Recipient] = field(default_factory=dict)
    unregistered: set[Key] = field(default_factory=set)
    whole: bool = True

    def at_most(self, recipient: Recipient, choices: Choices) -> Levels:
        """The levels that messages of a recipient who has chosen so may have."""
        return self.ceilings[recipient[0]].of_recipient(choices)


def latest(told: Iterable[tuple[Recipient, Consent]]) -> dict[Recipient, Said]:
    """The latest choices of each recipient."""
    said: dict[Recipient, Said] = {}
    for recipient, one in told:
        said[recipient] = said.get(recipient, Said()).then(Said(_saying(one, one.opens), _saying(one, one.clicks)))
    return said


def _saying(one: Consent, choice: int | None) -> Saying:
    return NEVER if choice is None else (one.at, choice)


def _order(saying: Saying) -> tuple[int, int]:
    return saying[0], _ALLOWS_LESS[Choice(saying[1])]
