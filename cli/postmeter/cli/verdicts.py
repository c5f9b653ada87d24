"""The command `postmeter verdicts`: when a workspace's clicks count as a machine's."""

from pathlib import Path

import click

from postmeter.cli import access
from postmeter.cli.errors import CommandError
from postmeter.cli.options import data_option
from postmeter.gateway.workspace import verdict_settings
from postmeter.shared.privacy.audit import COMMAND

_NOT_A_NUMBER = -1


@click.group(name="verdicts")
def verdict_commands() -> None:
    """Thresholds of verdicts on clicks: docs/verdicts.md."""


@verdict_commands.command(name="show")
@click.option("--workspace", required=True, help="Id of the workspace.")
@data_option()
def show_thresholds(workspace: str, data: Path | None) -> None:
    """Show a workspace's thresholds; 0: the rule is off."""
    found = access.with_connection(data, lambda connection: verdict_settings.shown(connection, workspace))
    for name, value in found._asdict().items():
        click.echo(f"{name}={value}")


@verdict_commands.command(name="set")
@click.option("--workspace", required=True, help="Id of the workspace.")
@click.argument("thresholds", nargs=-1, required=True, metavar="NAME=VALUE...")
@data_option()
def set_thresholds(workspace: str, thresholds: tuple[str, ...], data: Path | None) -> None:
    """Set thresholds, such as burst_clicks=8; 0 switches a rule off. They hold for clicks to come."""
    given = _read(thresholds)
    access.with_connection(data, lambda connection: verdict_settings.change(connection, workspace, given, COMMAND))
    click.echo(f"workspace {workspace}: {' '.join(f'{name}={value}' for name, value in given.items())}")


def _read(thresholds: tuple[str, ...]) -> dict[str, int]:
    given: dict[str, int] = {}
    for text in thresholds:
        name, _, value = text.partition("=")
        if name in given:
            raise CommandError(f"{name} is given more than once")
        given[name] = int(value) if value.isascii() and value.isdigit() and len(value) < 10 else _NOT_A_NUMBER
    return given
