"""The setting POSTMETER_RATE_LIMITS."""

import pytest

from postmeter.gateway.limits.rate_limits import DEFAULTS, parse
from postmeter.shared.apis.endpoint import Limit


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("", {}),
        ("read=1", {Limit.READ: 1}),
        (" read = 1200 , export=off,", {Limit.READ: 1200, Limit.EXPORT: None}),
        ("campaign=1000000", {Limit.CAMPAIGN: 1_000_000}),
    ],
)
def test_what_is_not_named_keeps_its_default(text: str, changes: dict[Limit, int | None]) -> None:
    assert parse(text) == {kind: rate for kind, rate in {**DEFAULTS, **changes}.items() if rate is not None}


@pytest.mark.parametrize("text", ["read=0", "read=1000001", "read=-1", "read=x", "read", "reads=1", "read=1,read=2"])
def test_what_could_mean_two_things_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="read"):
        parse(text)


def test_every_class_has_a_default() -> None:
    assert set(parse("")) == set(Limit)
