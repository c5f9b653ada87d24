"""Subjects as people read them: some providers report them as the mail's header has them (RFC 2047)."""

from __future__ import annotations

from email.errors import MessageError
from email.header import decode_header, make_header

MOST_WORDS = 40
"""Encoded words; each takes as long to be decoded as all else of an event. A long subject has a dozen."""
LONGEST = 2_000
"""Characters that are looked at: the standard library's pattern takes squared time for what never ends."""


def decoded(subject: str) -> str:
    """The subject with its encoded words decoded; as it is where that cannot be done."""
    if len(subject) > LONGEST or not 0 < subject.count("=?") <= MOST_WORDS or "?=" not in subject:
        return subject
    try:
        return str(make_header(decode_header(subject))) or subject
    except (MessageError, LookupError, ValueError):  # no base64, an unknown charset, bytes that are not in it
        return subject
