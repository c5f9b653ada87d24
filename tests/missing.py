"""What a machine lacks: its tests are left out and named at the end, or fail where nothing may be left out."""

import os
from collections import Counter
from pathlib import Path
from typing import NoReturn

import pytest

MAY_LACK = "POSTMETER_TEST_MAY_LACK"
"""`nothing`, as CI has it: what is missing fails its tests. Else they are left out."""


def need(file: str, how: str) -> str:
    """The path of a file that the test needs and a machine may lack. `how`: what to do to have it."""
    if Path(file).exists():
        return file
    lack(f"{file} is missing; {how}")


def lack(reason: str) -> NoReturn:
    """Leave the test out, or fail it where nothing may be left out."""
    if os.environ.get(MAY_LACK) == "nothing":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def summarize(reporter: pytest.TerminalReporter) -> None:
    """Print which tests were left out and why, below everything else."""
    left_out = reporter.stats.get("skipped", [])
    if not left_out:
        return
    reporter.section(f"LEFT OUT, DID NOT RUN: {len(left_out)}", sep="!", red=True, bold=True)
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in left_out)
    for reason, count in reasons.items():
        reporter.line(f"{reason} ({count})", red=True, bold=True)
    for report in left_out:
        reporter.line(f"  {report.nodeid}")
