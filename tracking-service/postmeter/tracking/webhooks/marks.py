"""Where our id of a message travels with providers that hand back nothing but texts: marked tags, and JSON."""

from __future__ import annotations

from collections.abc import Iterable

from postmeter.tracking.webhooks import lenient_json
from postmeter.tracking.webhooks.provider import MESSAGE_KEY

_MARK = f"{MESSAGE_KEY}:"


def of_tags(tags: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """(our id, the other tags): a tag `postmeter_id:UUID` is the message's id and no tag of the sender's."""
    ours, others = "", list[str]()
    for tag in tags:
        if tag.startswith(_MARK):
            ours = ours or tag.removeprefix(_MARK).strip()
        elif tag:
            others.append(tag)
    return ours, tuple(others)


def of_json(text: str) -> str:
    """Our id in a text that is a JSON object with `postmeter_id`; empty for every other text, which is the sender's."""
    return lenient_json.object_of(json_of(text)).text(MESSAGE_KEY)


def json_of(text: str) -> bytes:
    """JSON that stands in a text, as bytes."""
    return text.strip().encode("utf-8", "replace")
