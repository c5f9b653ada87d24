"""Lint, types and tests: what `postmeter test` and `postmeter check` run in a clone of the repository."""

import os
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
}
TYPES = ("mypy",)
"""Takes half a minute of one core."""

PARALLEL = ("-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder")
"""Workers take file by file, in the order that tests/conftest.py gives them: slow ones do not come last. A file stays
together, for what its tests share is started once. There it says, too, how many workers there are."""


def run_tests(arguments: Sequence[str]) -> int:
    """Run pytest with the arguments from the repository's root; returns its exit status.

    Without arguments all tests, in parallel; `-n N` given runs those that are given in parallel, too.
    """
    parallel = not arguments or any(argument.startswith("-n") for argument in arguments)
    return _run(("pytest", *(PARALLEL if parallel else ()), *arguments))


def run_all() -> int:
    """Run every step, also after one has failed; returns 0 when all passed. Types are checked while the tests run."""
    failed = [name for name, command in STEPS.items() if _step(name, command) != 0]
    types = _started(TYPES)
    click.echo("== tests", err=True)
    failed += ["tests"] if run_tests(()) != 0 else []
    click.echo(f"== types: {' '.join(TYPES)}", err=True)
    said, _ = types.communicate()
    click.echo(said, nl=False)
    failed += ["types"] if types.returncode != 0 else []
    click.echo(f"failed: {', '.join(failed)}" if failed else "all checks passed", err=True)
    return 1 if failed else 0


def _step(name: str, command: Sequence[str]) -> int:
    click.echo(f"== {name}: {' '.join(command)}", err=True)
    return _run(command)


def _run(command: Sequence[str]) -> int:
    return _started(command, output=None).wait()


def _started(command: Sequence[str], output: int | None = subprocess.PIPE) -> subprocess.Popen[str]:
    """A running tool; what it prints goes to `output`, by default to the caller."""
    if not (ROOT / "pyproject.toml").exists():
        raise click.ClickException("this needs a clone of the repository: a wheel holds no tests")
    tool, *arguments = command
    # The tests start some hundred processes; each would compile everything anew where no bytecode may be kept.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    words = [sys.executable, "-m", tool, *arguments]
    errors = None if output is None else subprocess.STDOUT
    return subprocess.Popen(words, cwd=ROOT, env=environ, stdout=output, stderr=errors, text=True)
