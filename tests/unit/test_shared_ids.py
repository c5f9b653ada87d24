"""UUIDv7 (RFC 9562) and partition bounds."""

import uuid
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from postmeter.shared.storage import uuid7
from postmeter.shared.storage.partitions import add_months

MILLISECONDS = st.integers(0, 2**48 - 1)


@given(MILLISECONDS)
def test_an_id_has_version_variant_and_time(at: int) -> None:
    made = uuid7.new(at)
    assert (made.version, made.variant, made.int >> 80) == (7, uuid.RFC_4122, at)


@given(MILLISECONDS.filter(lambda at: at < 2**48 - 1))
def test_an_id_lies_between_the_bounds_of_its_millisecond(at: int) -> None:
    assert uuid7.floor(at) <= uuid7.new(at) < uuid7.floor(at + 1)


def test_ids_differ() -> None:
    assert len({uuid7.new(1) for _ in range(1000)}) == 1000


@given(st.dates(date(1990, 1, 1), date(2100, 1, 1)), st.integers(-30, 30), st.integers(-30, 30))
def test_months_add_up(day: date, first: int, second: int) -> None:
    assert add_months(add_months(day, first), second) == add_months(day, first + second)
