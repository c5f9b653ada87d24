"""A setting that is misspelt is named at start; whatever else stands in an environment is not."""

import re
from pathlib import Path

import pytest

from postmeter.cli.main import SERVICES
from postmeter.cli.setting_names import misspelt

ROOT = Path(__file__).parents[2]
FILES = (
    "README.md",
    "docs/operating.md",
    "docs/compose.md",
    "deploy/compose.yaml",
    "deploy/k8s/secrets.sh",
    "tests/conftest.py",
)


@pytest.mark.parametrize("service", SERVICES)
def test_no_name_that_is_used_anywhere_is_doubted(service: str) -> None:
    used = {name for file in FILES for name in re.findall(r"POSTMETER_[A-Z_]+[A-Z]", (ROOT / file).read_text())}
    assert len(used) > 80
    assert misspelt(service, used, SERVICES) == []


@pytest.mark.parametrize(
    ("service", "wrong", "right"),
    [
        ("aggregator", "POSTMETER_RETAIN_EVENT", "POSTMETER_RETAIN_EVENTS"),
        ("aggregator", "POSTMETER_RETENTION_DAYS", "POSTMETER_RETAIN_DAYS"),
        ("gateway", "POSTMETER_TRUSTED_HOP", "POSTMETER_TRUSTED_HOPS"),
        ("tracking", "POSTMETER_SHARD", "POSTMETER_SHARDS"),
    ],
)
def test_one_that_is_almost_right_is_named_with_the_right_one(service: str, wrong: str, right: str) -> None:
    assert misspelt(service, ["PATH", "POSTMETER_FLAVOUR", wrong], SERVICES) == [
        f"{wrong} is not a setting; is {right} meant?"
    ]
