"""Values that the track API keeps as they were written: any bytes are read or refused."""

from collections.abc import Callable
from typing import TypeVar

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from iso4217 import Currency

from postmeter.shared.errors import FieldRefused, RequestError
from postmeter.tracking.contacts import purchase, values
from tests.fuzz.drafts import Raw, dumped
from tests.fuzz.mutations import NAMES, PIECES, TEXTS

T = TypeVar("T")
pieces = st.one_of(
    st.sampled_from(PIECES).map(Raw),
    st.sampled_from(TEXTS),
    st.binary(max_size=8).map(lambda data: Raw(b'"' + data + b'"')),
)
nested = st.recursive(
    pieces,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=2),
    max_leaves=4,
)


def _tried(read: Callable[[], T]) -> tuple[T | None, FieldRefused | RequestError | None]:
    try:
        return read(), None
    except (FieldRefused, RequestError) as error:
        return None, error


@given(value=nested)
@example(value={"a": Raw(b'"\xff"')})
@example(value={"a": Raw(b'"\xed\xa0\x80"')})
@example(value={"a": Raw(b"[" * 5_000 + b"]" * 5_000)})
def test_properties_are_kept_or_refused(value: object) -> None:
    text = dumped({"a": value})
    kept, error = _tried(lambda: values.properties(msgspec.Raw(text)))
    if error is not None:
        assert error.field == "properties"
        return
    assert kept is not None
    assert kept.encode() == text
    assert "\0" not in str(msgspec.json.decode(kept))


@given(value=pieces)
@example(value=Raw(b'"\xff"'))
@example(value=Raw(b"\xed\xa0\x80"))
def test_an_amount_is_read_or_refused(value: object) -> None:
    amount, error = _tried(lambda: values.amount(msgspec.Raw(dumped(value)), Currency("EUR")))
    assert error is None or error.field == "amount"
    assert amount is None or amount >= 0


@pytest.mark.parametrize("half", [b"\\ud800", b"\\udfff"])
def test_half_a_surrogate_pair_is_named(half: bytes) -> None:
    with pytest.raises(FieldRefused, match="half of a surrogate pair"):
        values.properties(msgspec.Raw(b'{"a":"' + half + b'"}'))


names = st.sampled_from([b'"x"', b'"\xff"', b'"\xed\xa0\x80"', b'"\\ud800"', b'"\\u0000"', b'"name"', b'""']).map(Raw)


@given(name=names, value=nested)
@example(name=Raw(b'"\xff"'), value=1)
@example(name=Raw(b'"x"'), value=Raw(b'"\xff"'))
def test_a_line_items_own_fields_are_kept_or_refused(name: Raw, value: object) -> None:
    item = {"name": "Pro", "quantity": 1, "price": 1, name: value}
    body = dumped({"contact_email": "a@b.example", "amount": 1, "currency": "EUR", "items": [item]})
    kept, error = _tried(lambda: purchase.read(1, body))
    assert error is None or isinstance(error, (FieldRefused, RequestError))
    assert kept is None or "\0" not in str(msgspec.json.decode(kept.items))
