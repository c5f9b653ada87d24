"""Which of several ceilings holds: every combination, against a model of its own."""

from itertools import product

import pytest

from postmeter.shared.privacy.levels import (
    CLICK_LEVELS,
    FULL,
    OPEN_LEVELS,
    Ceilings,
    Choice,
    Choices,
    Level,
    Levels,
    of_flags,
    to_flags,
)

STRICTEST_FIRST = ("off", "anonymous", "last_date", "pseudonymous", "full")
WHO = ("workspace", "domain", "message", "recipient")
CHOICES = ("unknown", "granted", "denied")
# What a recipient's choice allows, and the two that a workspace may change.
UNKNOWN, DENIED = "pseudonymous", "anonymous"


def expected(ceilings: tuple[str, ...]) -> tuple[str, str]:
    """The strictest, and who says it first."""
    strictest = min(ceilings, key=STRICTEST_FIRST.index)
    return strictest, WHO[ceilings.index(strictest)]


@pytest.mark.parametrize("kind", ["opens", "clicks"])
def test_the_strictest_of_four_ceilings_holds_whichever_they_are(kind: str) -> None:
    names = list(OPEN_LEVELS if kind == "opens" else CLICK_LEVELS)
    assert names == [name for name in STRICTEST_FIRST if kind == "opens" or name != "last_date"]
    seen = 0
    for workspace, domain, message, choice in product(names, names, names, CHOICES):
        recipient = {"unknown": UNKNOWN, "granted": "full", "denied": DENIED}[choice]
        ceilings = Ceilings(
            only(kind, workspace), {"a.example": only(kind, domain)}, only(kind, UNKNOWN), only(kind, DENIED)
        )
        chosen = Choices(**{kind: Choice[choice.upper()], other(kind): Choice.GRANTED})
        decided = ceilings.decide("a.example", only(kind, message), chosen)
        level, by = expected((workspace, domain, message, recipient))
        assert (getattr(decided.levels, kind).text, getattr(decided, f"{kind}_by")) == (level, by)
        assert getattr(decided.levels, other(kind)) is Level.FULL, "the other kind has ceilings of its own"
        assert of_flags(to_flags(decided.levels)) == decided.levels
        seen += 1
    assert seen == len(names) ** 3 * 3


def test_opens_and_clicks_have_flags_of_their_own() -> None:
    for opens, clicks in product(Level, Level):
        flags = to_flags(Levels(opens, clicks))
        assert flags & 0b1111 == 0, "bits that say other things of a message"
        assert of_flags(flags | 0b1111) == (opens, clicks)
        assert Levels(opens, clicks).at_most(FULL) == (opens, clicks)


def only(kind: str, name: str) -> Levels:
    return Levels(**{kind: OPEN_LEVELS[name]})


def other(kind: str) -> str:
    return "clicks" if kind == "opens" else "opens"
