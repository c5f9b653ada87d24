"""What others report about messages, as it goes into the streams: everything behind these sees it as it is made here.

Both `POST /v1/events` and every provider's webhook pass through here before anything is appended, so no recipient's
address gets into Redis, its append-only file, the spool, the history, an export or a dead letter (ADR 0025).
"""

from __future__ import annotations

import msgspec

from postmeter.shared.stream.records import REFUSAL_BYTES, Event, Refusal, encode
from postmeter.shared.text import masking, quoting

REASON_CHARS = 1000
"""Of an event's reason, and of why an item was refused."""


def event(given: Event) -> bytes:
    """The record of an event. Its reason may be longer than what is kept of it."""
    reason = masking.masked(given.reason, REASON_CHARS)
    return encode(given if reason == given.reason else msgspec.structs.replace(given, reason=reason))


def refusal(at: int, workspace: int, origin: str, reason: str, body: bytes, most: int = REFUSAL_BYTES) -> bytes:
    """The dead letter of an item that could not be read. most: bytes that are kept of it."""
    said = quoting.clean(masking.masked(reason, REASON_CHARS), REASON_CHARS)
    return encode(Refusal(at, workspace, origin, said, masking.masked_bytes(body, most)))
