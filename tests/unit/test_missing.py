"""A test that lacks something is left out loudly, or fails where nothing may be left out."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = """
from tests import missing

def pytest_terminal_summary(terminalreporter):
    missing.summarize(terminalreporter)
"""
TESTS = """
from tests.missing import need

def test_without():
    pass

def test_with():
    need("/nonexistent/browser", "get it so")
"""


@pytest.mark.parametrize("workers", ["0", "1"])
@pytest.mark.parametrize(("may_lack", "status"), [("", 0), ("nothing", 1)])
def test_what_is_missing_is_said_last(tmp_path: Path, workers: str, may_lack: str, status: int) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_some.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "xdist", "-q", "-n", workers, "--rootdir", "."]
    # Of the plugins only the one that is meant: the others take a second of a core for each of these processes.
    environ = os.environ | {
        "POSTMETER_TEST_MAY_LACK": may_lack,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout
    assert "/nonexistent/browser is missing; get it so" in done.stdout
    assert ("LEFT OUT, DID NOT RUN: 1" in done.stdout) == (status == 0)
