"""An unknown type of an event is told the nearest known one, and ten thousand of them in a request cost little."""

import json
import sys
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.shared.auth.principal import Principal
from postmeter.shared.errors import FieldRefused
from postmeter.tracking.writes import event_body
from postmeter.tracking.writes.event_body import _TYPES, NEAR_EDITS, TYPE_CHARS

WHO = Principal(key_id="k", workspace=1, workspace_id="w", role="admin", scopes=["track"])


def refusal(name: str) -> str:
    with pytest.raises(FieldRefused) as refused:
        event_body.read(WHO, json.dumps({"type": name}).encode())
    return refused.value.message


@cache
def distance(one: str, other: str) -> int:
    """As it is defined."""
    if not one or not other:
        return len(one) + len(other)
    kept = distance(one[1:], other[1:]) + (one[0] != other[0])
    return min(kept, distance(one[1:], other) + 1, distance(one, other[1:]) + 1)


@given(
    st.sampled_from(sorted(_TYPES)), st.lists(st.tuples(st.integers(0, 12), st.text("edrx", max_size=2)), max_size=4)
)
def test_the_nearest_is_told_if_it_is_near(name: str, changes: list[tuple[int, str]]) -> None:
    for place, text in changes:
        name = name[:place] + text + name[place + 1 :]
    if not name or name in _TYPES:
        return
    edits, nearest = min((distance(name, known), known) for known in _TYPES)
    said = refusal(name)
    assert (f"did you mean '{nearest}'?" in said) == (edits <= NEAR_EDITS)


def test_what_is_near_to_none_is_not_compared_to_its_end() -> None:
    """In steps: 10,000 of them may come at once, and hits wait meanwhile."""

    def steps(name: str) -> int:
        taken = 0

        def count(_: object, what: str, __: object) -> None:
            nonlocal taken
            taken += what in ("call", "c_call")

        sys.setprofile(count)
        try:
            refusal(name)
        finally:
            sys.setprofile(None)
        return taken

    few = steps("x")
    for name in ("y" * 300, "y" * TYPE_CHARS, "y" * 9, "complaind" * 3):
        assert steps(name) < few + 1000, name
