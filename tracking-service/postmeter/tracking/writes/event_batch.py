"""The events of a request's body: a JSON list or NDJSON, each with the index by which it is reported."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from postmeter.shared.apis.mail.events import EventsBody
from postmeter.shared.errors import FieldRefused, RequestError
from postmeter.shared.http import json_bodies
from postmeter.shared.http.fields import invalid

MAX_EVENTS = 10_000
MAX_COMMAS = 32 * MAX_EVENTS
"""Between values. So many events have fewer, though each has all fields."""
# Empty lines hold no event, but each costs time.
MAX_LINES = 2 * MAX_EVENTS
Item = tuple[int, bytes | msgspec.Raw]
_NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl")
_WRAP = 'wrap events in {"events": [...]}, or send one per line with Content-Type: application/x-ndjson'


class _Bare(msgspec.Struct):
    """Tells an event that stands where the list should."""

    type: msgspec.Raw
    events: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_list_decoder = msgspec.json.Decoder(EventsBody)
_bare_decoder = msgspec.json.Decoder(_Bare)


def items_of(body: bytes, content_type: str) -> list[Item]:
    """The events with their index: of NDJSON the line's, counted from 0 with empty ones. Raises RequestError 400."""
    if content_type in _NDJSON:
        if body.count(b"\n") > MAX_LINES:
            raise RequestError(400, "TOO_MANY_ITEMS", f"NDJSON: at most {MAX_LINES} lines at once, empty ones too")
        items = list(_lines(body))
    else:
        items = list(enumerate(_events(body)))
    if len(items) > MAX_EVENTS:
        raise _too_many()
    return items


def _too_many() -> RequestError:
    message = f"events: at most {MAX_EVENTS} at once, and {MAX_COMMAS} values in all"
    return RequestError(400, "TOO_MANY_ITEMS", message, "events")


def _lines(body: bytes) -> Iterator[Item]:
    for index, line in enumerate(body.split(b"\n")):
        if line.strip():
            yield index, line


def _events(body: bytes) -> list[msgspec.Raw]:
    json_bodies.refuse_array(body, _WRAP)
    if json_bodies.has_more_commas(body, MAX_COMMAS):
        raise _too_many()
    try:
        return json_bodies.decode(_list_decoder, body, in_parts=True).events
    except (RequestError, FieldRefused) as error:
        raise _explained(body, error) from None


def _explained(body: bytes, error: RequestError | FieldRefused) -> RequestError | FieldRefused:
    """What to do instead, if the body is an event or lines of them."""
    try:
        bare = json_bodies.decode(_bare_decoder, body, in_parts=True)
    except (RequestError, FieldRefused) as other:
        if json_bodies.TRAILING in other.message:
            return RequestError(400, "INVALID_JSON", f"This is not one JSON value. For lines of them: {_WRAP}.")
        return error
    if bare.events is msgspec.UNSET:
        return invalid("events", f"this is a bare event; {_WRAP}")
    return error
