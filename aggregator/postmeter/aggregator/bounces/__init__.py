"""Why a mail bounced: a closed set of reasons, whatever words a provider uses (ADR 0011)."""

from __future__ import annotations

import re
from functools import lru_cache

from postmeter.aggregator.bounces import codes, phrases
from postmeter.aggregator.bounces.reasons import Reason
from postmeter.shared.stream.events import BounceType

__all__ = ["Reason", "normalise"]

LIMIT = 20_000
"""Characters of a text that are looked at; a server's answer is far shorter."""
USED = 2_000
"""Characters that count, white space taken together."""

_CODES = re.compile(
    r"(?<![\w.])[245]\d\d(?:[ -][245]\.\d{1,3}\.\d{1,3})?(?![\w.])|(?<![\w.])[245]\.\d\.\d{1,3}(?![\w.])"
)
_APOSTROPHES = str.maketrans("", "", "'’‘`´")
_NO_WORD = re.compile(r"[\W_]+")
# A line's end that went through JSON once too often.
_ESCAPED_END = re.compile(r"\\r\\n|\\[rnt]")


def normalise(text: str, bounce: int) -> Reason:
    """The reason of a bounce from its text and its BounceType. Never raises; linear in the text.

    An enhanced status code decides where one is there and says what it is; where it says less (X.7.1, X.Y.0),
    phrases may tell more within its subject. Without one phrases decide, then the basic code. What tells nothing
    is OTHER, or TEMPORARY_FAILURE for a soft bounce.
    """
    return _normalise(text[:LIMIT], bounce != BounceType.SOFT)


@lru_cache(4096)
def _normalise(text: str, hard: bool) -> Reason:
    line = " ".join(_ESCAPED_END.sub(" ", text.lower()).split())[:USED]
    found = list(codes.enhanced(line))
    for code in found:
        definite = codes.DEFINITE.get((code.subject, code.detail))
        if definite is not None:
            return definite
    # Codes stand at the beginning of each line of an answer, and so between the words of a phrase.
    words = " " + _NO_WORD.sub(" ", _CODES.sub(" ", line).translate(_APOSTROPHES)).strip()
    vague = next(filter(None, map(codes.vague, found)), None)
    if vague is not None:
        return phrases.reason_of(words, vague.closer, hard) or vague.reason
    unknown = Reason.OTHER if hard else Reason.TEMPORARY_FAILURE
    told = phrases.reason_of(words, frozenset(Reason), hard)
    if told is not None:
        return told
    basic = codes.basic(line)
    return codes.BASIC.get(basic, unknown) if basic is not None else unknown
