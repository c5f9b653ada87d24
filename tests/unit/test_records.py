"""Packed records: what went in comes out, and one bad record costs only itself."""

from decimal import Decimal
from typing import get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.shared.stream import records
from postmeter.shared.stream.records import (
    CampaignChange,
    CustomEvent,
    Event,
    Hit,
    Mail,
    Purchase,
    Record,
    Refusal,
    Registration,
)

NUMBERS = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
BY_TYPE: dict[object, st.SearchStrategy[object]] = {
    int: NUMBERS,
    str: TEXT,
    bytes: st.binary(),
    bool: st.booleans(),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    list[str]: st.lists(TEXT),
    int | None: st.none() | NUMBERS,
    str | None: st.none() | TEXT,
}


def of_mail() -> st.SearchStrategy[Mail]:
    return st.builds(Mail, **{name: BY_TYPE[hint] for name, hint in get_type_hints(Mail).items()})


BY_TYPE[Mail | None] = st.none() | of_mail()


def of(kind: type[Record]) -> st.SearchStrategy[Record]:
    return st.builds(kind, **{name: BY_TYPE[hint] for name, hint in get_type_hints(kind).items()})


RECORDS = st.one_of(
    of(Hit), of(Registration), of(Event), of(CampaignChange), of(Refusal), of(Purchase), of(CustomEvent)
)


@given(st.lists(RECORDS, max_size=20))
def test_a_batch_comes_out_as_it_went_in(batch: list[Record]) -> None:
    packed = records.join([records.encode(record) for record in batch])
    assert records.decode(packed) == batch
    assert records.decode_each(packed) == (batch, [])


@given(RECORDS, RECORDS, st.sampled_from([b"\xc0", b"\x93\x01\x02\x03", b"\x92\x63\x01", b"\xa3abc"]))
def test_a_bad_record_is_put_aside_alone(first: Record, last: Record, bad: bytes) -> None:
    packed = records.join([records.encode(first), bad, records.encode(last)])
    with pytest.raises(msgspec.DecodeError):
        records.decode(packed)
    good, aside = records.decode_each(packed)
    assert good == [first, last]
    assert [content for content, _ in aside] == [bad]


@given(st.binary(max_size=100))
def test_nonsense_is_put_aside_whole(packed: bytes) -> None:
    try:
        decoded = records.decode(packed)
    except msgspec.DecodeError:
        good, aside = records.decode_each(packed)
        assert aside or good == []
    else:
        assert records.decode_each(packed) == (decoded, [])


def test_idempotency_keys_do_not_collide_over_workspaces() -> None:
    keys = {records.idempotency_key(workspace, key) for workspace, key in [(1, "23"), (12, "3"), (123, ""), (1, "2")]}
    assert len(keys) == 4
    assert all(len(key) == 16 for key in keys)
