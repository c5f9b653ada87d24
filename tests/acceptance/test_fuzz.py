"""A small fuzz (`python -m tests.fuzz`), another one each time; a finding prints the request and the seed."""

import secrets
from pathlib import Path

import pytest

from tests.fuzz.__main__ import UNLIMITED
from tests.fuzz.run import fuzz
from tests.product import running

REQUESTS = 1500
SECONDS = 300.0
"""After which it is enough on a busy machine."""


async def test_nothing_that_a_caller_sends_breaks_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in UNLIMITED.items():
        monkeypatch.setenv(name, value)
    seed = secrets.randbelow(1_000_000)
    print(f"seed {seed}")
    with running(tmp_path) as product:
        report = await fuzz(product, REQUESTS, SECONDS, seed)
    assert not report.findings, report.text()
    passed = sum(report.passed.values())
    assert 0.3 < passed / report.total < 0.9, report.text()
