"""Status codes inside a bounce's text: finding them, and what they mean.

Enhanced codes are `class.subject.detail` (RFC 3463). IP addresses and version numbers look like them, so one
counts only where servers put it: at the beginning of the text, behind a basic code (`550 5.1.1`, `550-5.1.1`),
behind punctuation, or behind a word that announces it. Details of three digits are Microsoft's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from postmeter.aggregator.bounces.reasons import Reason

_ENHANCED = re.compile(
    r"(?:^|[:;,(\[{<\"'=#|>]|(?<![\w.])[45]\d\d[ -]#?|(?<!\w)(?:error|code|status|said|reason|response|dsn|smtp|reply))"
    r" ?([45])\.([0-7])\.(\d{1,3})(?![\w-]|\.\d)",
    re.ASCII,
)
_BASIC = re.compile(
    r"(?:^|[;(\[<\"']|(?<!\w)(?:said|error|code|status|response|reply|reason|returned|smtp)\b:?)"
    r" ?[\"'(\[<]?([45][0-5]\d)(?![\w.]|,\d)",
    re.ASCII,
)


class Code(NamedTuple):
    """An enhanced status code."""

    kind: int
    subject: int
    detail: int


def enhanced(text: str) -> Iterator[Code]:
    """The enhanced codes of failures, in order. text: lower case, single spaces."""
    for match in _ENHANCED.finditer(text):
        yield Code(*map(int, match.groups()))


def basic(text: str) -> int | None:
    """The first basic code (RFC 5321) of a failure, or None."""
    match = _BASIC.search(text)
    return int(match.group(1)) if match else None


def _each(reason: Reason, *codes: str) -> dict[tuple[int, int], Reason]:
    """`codes` are subject.detail, or subject.first-last."""
    found: dict[tuple[int, int], Reason] = {}
    for code in codes:
        subject, _, details = code.partition(".")
        first, _, last = details.partition("-")
        found |= {(int(subject), detail): reason for detail in range(int(first), int(last or first) + 1)}
    return found


DEFINITE: dict[tuple[int, int], Reason] = {
    **_each(Reason.INVALID_RECIPIENT, "1.1", "1.3-4", "1.6", "1.10", "7.17-18"),
    **_each(Reason.MAILBOX_FULL, "2.2"),
    **_each(Reason.MESSAGE_TOO_LARGE, "2.3", "3.4", "7.16"),
    **_each(Reason.DNS_FAILURE, "1.2", "4.3-4", "4.310", "4.312"),
    **_each(Reason.SERVER_UNAVAILABLE, "3.1-2", "4.2", "4.5", "4.316-317"),
    **_each(Reason.ROUTING_FAILURE, "2.4", "3.5", "4.6", "4.14", "7.64"),
    **_each(Reason.MALFORMED_MESSAGE, "3.3", "5.1-2", "5.4-6", "6.1-10", "7.506", "7.512"),
    **_each(Reason.SENDER_REJECTED, "1.7-8", "7.27", "7.501-503", "7.750"),
    **_each(Reason.AUTHENTICATION_FAILED, "7.8-9", "7.12-14", "7.20-26", "7.29", "7.57", "7.509", "7.515"),
    **_each(Reason.ENCRYPTION_REQUIRED, "7.3-7", "7.10-11", "7.30"),
    **_each(Reason.RATE_LIMITED, "5.3", "7.28", "1.90", "2.121-122", "7.508", "7.705", "7.650"),
    **_each(Reason.IP_REPUTATION, "7.510-511", "7.513", "7.606-649", "7.708"),
}
"""(subject, detail) of the codes that say exactly what it is: nothing else in the text counts beside one."""


class VagueReason(NamedTuple):
    """What a code means that says less: `reason`, unless a phrase of one of `closer` tells more."""

    reason: Reason
    closer: frozenset[Reason]


_ANY = frozenset(Reason)
_SECURITY = frozenset(
    {
        Reason.SPAM_CONTENT,
        Reason.MALWARE,
        Reason.IP_REPUTATION,
        Reason.DOMAIN_REPUTATION,
        Reason.AUTHENTICATION_FAILED,
        Reason.ENCRYPTION_REQUIRED,
        Reason.RATE_LIMITED,
        Reason.SENDER_REJECTED,
        Reason.ROUTING_FAILURE,
    }
)
_VAGUE = {
    # Gmail also answers X.2.1 where a mailbox gets more mail than it may.
    (2, 1): VagueReason(Reason.MAILBOX_DISABLED, frozenset({Reason.RATE_LIMITED})),
    # Microsoft's directory answers 5.4.1 for recipients that it does not know.
    (4, 1): VagueReason(Reason.SERVER_UNAVAILABLE, frozenset({Reason.INVALID_RECIPIENT})),
    # Given up after many attempts; what these met is often told behind it.
    (4, 7): VagueReason(Reason.SERVER_UNAVAILABLE, _ANY),
}
_SUBJECTS = {
    1: VagueReason(Reason.INVALID_RECIPIENT, _ANY),
    2: VagueReason(Reason.MAILBOX_DISABLED, _ANY),
    3: VagueReason(Reason.SERVER_UNAVAILABLE, _ANY),
    4: VagueReason(Reason.SERVER_UNAVAILABLE, _ANY),
    5: VagueReason(Reason.MALFORMED_MESSAGE, _ANY),
    6: VagueReason(Reason.MALFORMED_MESSAGE, _ANY),
    7: VagueReason(Reason.POLICY, _SECURITY),
}
_TRANSIENT = 4


def vague(code: Code) -> VagueReason | None:
    """What a code that is not in DEFINITE means: its subject at least. None for subject 0, which means nothing."""
    if code.kind == _TRANSIENT and code.subject == 7:
        # Refused for now: greylisting, unless it is told.
        return VagueReason(Reason.TEMPORARY_FAILURE, _SECURITY)
    return _VAGUE.get((code.subject, code.detail)) or _SUBJECTS.get(code.subject)


BASIC: dict[int, Reason] = {
    **dict.fromkeys((421, 452, 455), Reason.SERVER_UNAVAILABLE),
    **dict.fromkeys((450, 451), Reason.TEMPORARY_FAILURE),
    **dict.fromkeys((500, 501, 502, 503, 504, 555), Reason.MALFORMED_MESSAGE),
    **dict.fromkeys((521, 556), Reason.DNS_FAILURE),
    **dict.fromkeys((530, 534, 535), Reason.AUTHENTICATION_FAILED),
    **dict.fromkeys((523, 538), Reason.ENCRYPTION_REQUIRED),
    **dict.fromkeys((551, 553), Reason.INVALID_RECIPIENT),
    552: Reason.MAILBOX_FULL,
}
"""What a basic code means where no phrase tells more. 550 and 554 are given for everything."""
