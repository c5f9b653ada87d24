"""JSON that callers send: how many values it has at most is known before it is decoded."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.shared.errors import RequestError
from postmeter.shared.http.json_bodies import LEVELS, MOST_NESTED, decode, has_more_commas, is_deep

VALUES = st.recursive(
    st.none() | st.integers() | st.text(st.sampled_from(',"\\a\n\u00e4{}[]:'), max_size=6),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(',"\\', max_size=3), inner, max_size=5),
)


def commas(value: Any) -> int:
    """Those between values, by what they separate."""
    if isinstance(value, dict):
        value = list(value.values())
    return max(len(value) - 1, 0) + sum(map(commas, value)) if isinstance(value, list) else 0


@given(VALUES, st.booleans())
def test_commas_between_values_are_counted_and_no_others(value: Any, ascii_only: bool) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    count = commas(value)
    assert not has_more_commas(body, count)
    assert count == 0 or has_more_commas(body, count - 1)


@pytest.mark.parametrize("body", [b'["', b'[",', b'[",\\', b',"\\",', b""])
def test_what_is_not_json_does_no_harm(body: bytes) -> None:
    has_more_commas(body, 0)


def test_texts_that_no_comma_parts_are_not_looked_at_one_by_one() -> None:
    """Else a body of 16 MiB took more than a second, in which nobody else was answered."""
    assert has_more_commas(b'","' * 100_000, 50_000)
    assert has_more_commas(b"[" + b'{"a":' * 100_000 + b'",,,"' + b"}" * 100_000, 2)
    assert not has_more_commas(b"[" + b'{"a":' * 9_000 + b'",,,"' + b"}" * 9_000, 2)


def levels(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(levels, value), default=0) if isinstance(value, list) else 0


@given(VALUES, st.integers(LEVELS - 8, LEVELS), st.booleans(), st.booleans())
def test_levels_within_each_other_are_counted_and_no_others(
    value: Any, around: int, objects: bool, ascii_only: bool
) -> None:
    begin, end = (b'{"[":', b"}") if objects else (b"[", b"]")
    body = begin * around + json.dumps(value, ensure_ascii=ascii_only).encode() + end * around
    assert is_deep(body) == (around + levels(value) > LEVELS)
    assert not is_deep(b"[" + b"[],{}," * 400 + body[around * len(begin) : -around] + b"]")


def test_what_is_nested_deeper_is_refused_whichever_python_reads_it() -> None:
    with pytest.raises(RequestError, match="nested too deeply") as refused:
        decode(msgspec.json.Decoder(list[msgspec.Raw]), b"[" * (LEVELS + 1) + b"]" * (LEVELS + 1))
    assert (refused.value.status, refused.value.code) == (400, "INVALID_JSON")
    assert decode(msgspec.json.Decoder(list[msgspec.Raw]), b"[" * LEVELS + b"]" * LEVELS)


def test_levels_of_more_than_anybody_means_are_not_counted() -> None:
    """Of 16 MiB of brackets it took more than a second, in which nobody else was answered."""
    assert is_deep(b"[" + b",".join([b"[]"] * MOST_NESTED) + b"]")
    assert not is_deep(b"[" + b",".join([b"[]"] * (MOST_NESTED - 1)) + b"]")
    assert not is_deep(b'["' + b"{}" * 2 * MOST_NESTED + b'"]')
