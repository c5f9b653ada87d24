"""Where our id of a message travels with providers that hand back nothing but texts: marked tags, and JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

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
    return of_object(decoded(text)) if text.lstrip()[:1] == "{" else ""


def of_object(holder: Any, name: str = MESSAGE_KEY) -> str:
    """The text `name` of what may be an object; empty where it is none, or holds none."""
    value = holder.get(name) if isinstance(holder, dict) else None
    return value if isinstance(value, str) else ""


def decoded(text: str) -> Any:
    """JSON that stands in a text; None for what is none."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
