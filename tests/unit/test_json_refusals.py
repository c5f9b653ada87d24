"""What a caller is told of JSON that does not fit: the field, whatever the caller's own names and values look like."""

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postmeter.query.requests.parameters import LARGE, whole
from postmeter.shared.errors import FieldRefused, RequestError
from postmeter.shared.http import json_bodies
from postmeter.shared.http.json_bodies import refusal


class Item(msgspec.Struct, forbid_unknown_fields=True):
    id: int
    tags: list[str] = []


class Body(msgspec.Struct, forbid_unknown_fields=True):
    items: list[Item] = []
    limits: dict[str, int] = {}


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (b'{"items":[{"id":1},{"id":1,"tags":["a",2]}]}', "items[1].tags[1]"),
        (b'{"items":[{}]}', "items[0].id"),
        (b'{"limits":{"a":"b"}}', "limits[...]"),
        (b'{"x":1}', "x"),
        (b'{"items":[{"x":1}]}', "items[0].x"),
        (b"[]", None),
        (b'"x"', None),
    ],
)
def test_the_field_is_named(text: bytes, field: str | None) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=Body)
    told = refusal(text, Body)
    assert told.field == field
    assert told.message.startswith(f"{field or 'body'}: ")
    assert refusal(text, Body, "there").field == (f"there.{field}" if field else "there")


names = st.text(max_size=60) | st.lists(
    st.sampled_from([" - at `", "$", "$[0]", ".items", "`", "key` in `", "unknown field `", "x", "[1]"]), max_size=6
).map("".join)


@given(name=names, inside=st.booleans())
@example(name="x` - at `$.limits", inside=False)
@example(name="x` - at `$.limits", inside=True)
@example(name="x` - at `$[0].limits", inside=False)
@example(name="x` - at `key` in `$", inside=True)
def test_a_callers_name_cannot_pass_for_a_path(name: str, inside: bool) -> None:
    if name in ("id", "tags", "items", "limits"):
        return
    stranger: dict[str, Any] = {name: 1}
    text = msgspec.json.encode({"items": [{"id": 1} | stranger]} if inside else stranger)
    place = "items[0]." if inside else ""
    told = [refusal(text, Body)]
    with pytest.raises(FieldRefused) as found:
        json_bodies.decode(msgspec.json.Decoder(Body), text)
    told.append(found.value)
    shown = FieldRefused("", f"{place}{name[:100]}").field
    assert [error.field for error in told] == [shown or None] * 2


@given(
    zeros=st.integers(0, 40_000), digits=st.text("0123456789", max_size=25), rest=st.sampled_from(["", "x", "-", "٣"])
)
def test_a_whole_number_of_any_length_is_read_or_refused(zeros: int, digits: str, rest: str) -> None:
    text = "0" * zeros + digits + rest
    expected = min(int(digits or "0"), LARGE) if text and not rest else 0
    if expected:
        assert whole(text, "limit") == expected
    else:
        with pytest.raises(RequestError, match="whole number"):
            whole(text, "limit")
