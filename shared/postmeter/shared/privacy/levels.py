"""Levels of tracking, and which of several ceilings holds (docs/privacy.md)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import NamedTuple


class Level(IntEnum):
    """What is kept of opens, or of clicks. The numbers grow with strictness, and stand in tokens and in Postgres.

    FULL: everything. PSEUDONYMOUS: history without user agent and network, times to the hour. LAST_DATE, of opens only:
    totals, and of the recipient the date of the last open. ANONYMOUS: totals alone. OFF: nothing.
    """

    FULL = 0
    PSEUDONYMOUS = 1
    LAST_DATE = 2
    ANONYMOUS = 3
    OFF = 4

    @property
    def text(self) -> str:
        """Its name in APIs."""
        return self.name.lower()


OPEN_LEVELS = {level.text: level for level in reversed(Level)}
"""By name, the strictest first."""
CLICK_LEVELS = {name: level for name, level in OPEN_LEVELS.items() if level is not Level.LAST_DATE}
SEEN = (Level.FULL, Level.PSEUDONYMOUS)
"""Levels at which it is known of a message whether it was opened, or clicked."""


class Levels(NamedTuple):
    """Of opens and of clicks."""

    opens: Level = Level.FULL
    clicks: Level = Level.FULL

    def at_most(self, other: Levels) -> Levels:
        """The stricter of both, for opens and for clicks apart."""
        return Levels(max(self.opens, other.opens), max(self.clicks, other.clicks))


FULL = Levels()
NOTHING = Levels(Level.OFF, Level.OFF)


class Choice(IntEnum):
    """What a recipient has chosen for opens, or for clicks."""

    UNKNOWN = 0
    GRANTED = 1
    DENIED = 2

    @property
    def text(self) -> str:
        """Its name in APIs."""
        return self.name.lower()


CHOICES = {choice.text: choice for choice in Choice}


class Choices(NamedTuple):
    """Of opens and of clicks."""

    opens: Choice = Choice.UNKNOWN
    clicks: Choice = Choice.UNKNOWN


class Ceiling(StrEnum):
    """Who decided a level: whose ceiling is the lowest; of equal ones the first of these."""

    WORKSPACE = "workspace"
    DOMAIN = "domain"
    MESSAGE = "message"
    RECIPIENT = "recipient"


class Decided(NamedTuple):
    """The levels that hold for a message, and who decided each."""

    levels: Levels
    opens_by: Ceiling
    clicks_by: Ceiling


class Ceilings(NamedTuple):
    """What a workspace has set. domains: by name, in the one form of `shared/text/domains.py`.

    unknown, denied: of recipients who have not chosen, or refused; `denied` is ANONYMOUS or OFF.
    """

    workspace: Levels = FULL
    domains: Mapping[str, Levels] = {}
    unknown: Levels = FULL
    denied: Levels = NOTHING

    def of_recipient(self, choices: Choices) -> Levels:
        """The ceiling of a recipient who has made this choice. A grant lifts none of the other ceilings."""
        by_choice = {Choice.UNKNOWN: self.unknown, Choice.GRANTED: FULL, Choice.DENIED: self.denied}
        return Levels(by_choice[choices.opens].opens, by_choice[choices.clicks].clicks)

    def decide(self, domain: str, message: Levels, choices: Choices) -> Decided:
        """The most restrictive of all."""
        ceilings = {
            Ceiling.WORKSPACE: self.workspace,
            Ceiling.DOMAIN: self.domains.get(domain, FULL),
            Ceiling.MESSAGE: message,
            Ceiling.RECIPIENT: self.of_recipient(choices),
        }
        # `max` keeps the first of equal ones.
        opens_by = max(ceilings, key=lambda who: ceilings[who].opens)
        clicks_by = max(ceilings, key=lambda who: ceilings[who].clicks)
        return Decided(Levels(ceilings[opens_by].opens, ceilings[clicks_by].clicks), opens_by, clicks_by)


class Bits(IntEnum):
    """Where in `message.flags` the levels are: from which bit on, what one of them takes, and all that they take."""

    OPENS = 4
    CLICKS = 7
    LEVEL = 0b111
    ALL = LEVEL << OPENS | LEVEL << CLICKS


_OPENS, _CLICKS, _MASK = int(Bits.OPENS), int(Bits.CLICKS), int(Bits.LEVEL)
LEVEL_BITS = int(Bits.ALL)
"""Of `message.flags`."""


def to_flags(levels: Levels) -> int:
    """The bits of `message.flags` that hold a message's levels; 0: full, as of messages of before there were levels."""
    return levels.opens << _OPENS | levels.clicks << _CLICKS


def of_flags(flags: int) -> Levels:
    """A message's levels."""
    return Levels(Level(flags >> _OPENS & _MASK), Level(flags >> _CLICKS & _MASK))
