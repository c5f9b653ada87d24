"""The command `postmeter verdicts`: from what on a workspace's clicks are a machine's."""

from pathlib import Path

import click

from postmeter.cli import access
from postmeter.cli.admin import AdminError
from postmeter.cli.options import data_option
from postmeter.shared.sql import Queries
from postmeter.shared.thresholds import LEAST, LIMITS, Thresholds

_QUERIES = Queries("postmeter.cli", "verdicts.sql")


@click.group(name="verdicts")
def verdict_commands() -> None:
    """Thresholds of verdicts on clicks: docs/verdicts.md."""


@verdict_commands.command(name="show")
@click.option("--workspace", required=True, help="Id of the workspace.")
@data_option()
def show_thresholds(workspace: str, data: Path | None) -> None:
    """Show a workspace's thresholds; 0: the rule is off."""
    row = access.with_connection(data, lambda connection: connection.fetchrow(_QUERIES["show"], workspace))
    if row is None:
        raise _unknown(workspace)
    for name, default in Thresholds()._asdict().items():
        value = row[name]
        click.echo(f"{name}={default if value is None else value}")


@verdict_commands.command(name="set")
@click.option("--workspace", required=True, help="Id of the workspace.")
@click.argument("thresholds", nargs=-1, required=True, metavar="NAME=VALUE...")
@data_option()
def set_thresholds(workspace: str, thresholds: tuple[str, ...], data: Path | None) -> None:
    """Set thresholds, such as burst_clicks=8; 0 switches a rule off. They hold for clicks to come."""
    given = _read(thresholds)
    values = [given.get(name) for name in Thresholds._fields]
    arguments = (workspace, *values, *Thresholds())
    if access.with_connection(data, lambda connection: connection.fetchval(_QUERIES["set"], *arguments)) is None:
        raise _unknown(workspace)
    click.echo(f"workspace {workspace}: {' '.join(f'{name}={value}' for name, value in given.items())}")


def _read(thresholds: tuple[str, ...]) -> dict[str, int]:
    given: dict[str, int] = {}
    for text in thresholds:
        name, _, value = text.partition("=")
        if name not in Thresholds._fields:
            raise AdminError(f"there is no threshold {name!r}; there are {', '.join(Thresholds._fields)}")
        least, most = getattr(LEAST, name), getattr(LIMITS, name)
        number = int(value) if value.isascii() and value.isdigit() and len(value) < 10 else -1
        if name in given or not (number == 0 or least <= number <= most):
            raise AdminError(f"{name}: once, {least} to {most}, or 0 to switch it off")
        given[name] = number
    return given


def _unknown(workspace: str) -> AdminError:
    return AdminError(f"there is no workspace {workspace!r}; `postmeter workspace list` shows all")
