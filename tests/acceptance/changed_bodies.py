"""A good body, changed in one place: a field more, a field less, a value of another type, null."""

import copy
from collections.abc import Iterable, Iterator
from typing import Any

UNKNOWN = "no_such_field"
EXACT = (UNKNOWN, "= None")
"""How changes are called of which the schema says all: whether they are refused and whether they are taken."""
OTHER_TYPES = (7, "seven", [7], {"seven": 7}, True, None)


def changed(good: Any, fields: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """(what was changed, the whole body with that change): in each object of it, and in each field that it may have."""
    yield from _inside(good, ())
    for name in fields:
        if name not in good:
            for other in OTHER_TYPES:
                yield f"body: {name} = {other!r}", {**good, name: other}


def _inside(body: Any, place: tuple[str | int, ...]) -> Iterator[tuple[str, Any]]:
    value = body
    for step in place:
        value = value[step]
    if isinstance(value, list):
        for index in range(len(value)):
            yield from _inside(body, (*place, index))
        return
    if not isinstance(value, dict):
        return
    where = ".".join(map(str, place)) or "body"
    yield f"{where}: {UNKNOWN}", _with(body, place, {**value, UNKNOWN: 1})
    for name in value:
        yield f"{where}: without {name}", _with(body, place, {key: value[key] for key in value if key != name})
        for other in OTHER_TYPES:
            if type(other) is not type(value[name]):
                yield f"{where}: {name} is {other!r}", _with(body, place, {**value, name: other})
        yield from _inside(body, (*place, name))


def _with(body: Any, place: tuple[str | int, ...], value: Any) -> Any:
    """A copy of the body with another value at the place."""
    if not place:
        return value
    made = copy.deepcopy(body)
    inner = made
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    return made
