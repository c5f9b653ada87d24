"""Outside text made harmless: wherever it enters an error, a log or a dead letter it is quoted, or cleaned, and cut.

`quoted` is for a caller's text inside a sentence of ours. `clean` is the net behind it, for whole messages: errors,
log lines and dead letters pass through it, so that a text that somebody forgot to quote does no harm there.

Both mask email addresses in what they cut: half an address has lost the sign by which a later reader, such as the log,
would have known it. A text that is shown whole is left as it is.
"""

from __future__ import annotations

import re

from postmeter.shared.text.masking import SPAN, masked

QUOTED = 200
"""Characters of a caller's text that are shown."""
ELLIPSIS = "..."
# Line ends and tabs as well: a log line and an error are one line. NUL and half surrogate pairs cannot be stored; marks
# that turn the direction of writing, and line separators, make a text look like another one.
_HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufff9-\ufffb]")


def quoted(text: str | bytes, limit: int = QUOTED) -> str:
    """The text in quotes, at most `limit` characters of it and then "...", what does not print as an escape.

    Bytes are read as UTF-8; others show as escapes.
    """
    # Of four bytes each there are still more characters than `masked` looks at.
    given = text[: 4 * (limit + 2 * SPAN)].decode("utf-8", "backslashreplace") if isinstance(text, bytes) else text
    if len(given) <= limit:
        escaped = repr(given)[1:-1]
        if len(escaped) <= limit:
            return f"'{escaped}'"
    return f"'{repr(masked(given, limit))[1:-1][:limit]}{ELLIPSIS}'"


def clean(text: str, limit: int) -> str:
    """The text on one line, at most `limit` characters, with U+FFFD for what cannot be stored or does not print."""
    cut = text if len(text) <= limit else masked(text, limit - len(ELLIPSIS)) + ELLIPSIS
    return cut if cut.isascii() and cut.isprintable() else _HARMFUL.sub("\ufffd", cut)
