"""Lint, types and tests: what `postmeter test` and `postmeter check` run in a clone of the repository."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

ROOT = Path(__file__).parents[3]
# Each name and what it runs, in the order in which a mistake is cheapest to find.
STEPS: dict[str, tuple[str, ...]] = {
    "lint": ("ruff", "check", ".", "postmeter"),
    "format": ("ruff", "format", "--check", ".", "postmeter"),
    "types": ("mypy",),
}


def run_tests(arguments: Sequence[str]) -> int:
    """Run pytest with the arguments from the repository's root; returns its exit status."""
    return _run(("pytest", *arguments))


def run_all() -> int:
    """Run every step, also after one has failed; returns 0 when all passed."""
    failed = [name for name, command in STEPS.items() if _step(name, command) != 0]
    if _step("tests", ("pytest",)) != 0:
        failed.append("tests")
    click.echo(f"failed: {', '.join(failed)}" if failed else "all checks passed", err=True)
    return 1 if failed else 0


def _step(name: str, command: Sequence[str]) -> int:
    click.echo(f"== {name}: {' '.join(command)}", err=True)
    return _run(command)


def _run(command: Sequence[str]) -> int:
    if not (ROOT / "pyproject.toml").exists():
        raise click.ClickException("this needs a clone of the repository: a wheel holds no tests")
    tool, *arguments = command
    return subprocess.run([sys.executable, "-m", tool, *arguments], cwd=ROOT, check=False).returncode
