"""Lint, types and tests: what `postmeter test` and `postmeter check` run in a clone of the repository."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click

ROOT = Path(__file__).parents[3]
# Each name and what it runs, in the order in which a mistake is cheapest to find.
STEPS: dict[str, tuple[str, ...]] = {
    "lint": ("ruff", "check", ".", "postmeter"),
    "format": ("ruff", "format", "--check", ".", "postmeter"),
    "types": ("mypy",),
}

GROUPS = {
    "integration tests, A to S": ("tests/integration", "--ignore-glob=tests/integration/test_[t-z]*"),
    "unit, acceptance and the other integration tests": (
        "tests/unit",
        "tests/acceptance",
        "tests/integration",
        "--ignore-glob=tests/integration/test_[a-s]*",
    ),
}
"""All tests; each group takes about as long as the others."""


def run_tests(arguments: Sequence[str]) -> int:
    """Run pytest with the arguments from the repository's root; returns its exit status."""
    return _run(("pytest", *arguments))


def run_all() -> int:
    """Run every step, also after one has failed; returns 0 when all passed."""
    failed = [name for name, command in STEPS.items() if _step(name, command) != 0]
    failed += _run_groups()
    click.echo(f"failed: {', '.join(failed)}" if failed else "all checks passed", err=True)
    return 1 if failed else 0


def _run_groups() -> list[str]:
    """Run the groups of tests side by side, for each keeps one core busy; returns those that failed."""
    failed = []
    with ExitStack() as files:
        running = []
        for name, folders in GROUPS.items():
            click.echo(f"== {name}: pytest {' '.join(folders)}", err=True)
            output = files.enter_context(tempfile.TemporaryFile())
            command = [sys.executable, "-m", "pytest", *folders]
            process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
            running.append((name, process, output))
        for name, process, output in running:
            if process.wait() != 0:
                failed.append(name)
            output.seek(0)
            click.echo(f"== {name}\n{output.read().decode(errors='replace')}", err=True)
    return failed


def _step(name: str, command: Sequence[str]) -> int:
    click.echo(f"== {name}: {' '.join(command)}", err=True)
    return _run(command)


def _run(command: Sequence[str]) -> int:
    if not (ROOT / "pyproject.toml").exists():
        raise click.ClickException("this needs a clone of the repository: a wheel holds no tests")
    tool, *arguments = command
    return subprocess.run([sys.executable, "-m", tool, *arguments], cwd=ROOT, check=False).returncode
