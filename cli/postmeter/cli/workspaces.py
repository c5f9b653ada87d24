"""The command `postmeter workspace`."""

from pathlib import Path

import click

from postmeter.cli import access
from postmeter.cli.errors import CommandError
from postmeter.cli.options import data_option
from postmeter.gateway.workspace import registry
from postmeter.shared.text.quoting import QUOTED, clean


@click.group(name="workspace")
def workspace_commands() -> None:
    """Workspaces: each sees its own mail only."""


@workspace_commands.command(name="create")
@click.argument("workspace_id", metavar="ID")
@click.option("--name", required=True, help="What people call it.")
@click.option("--timezone", default="UTC", show_default=True, help="IANA name, such as Europe/Berlin.")
@data_option()
def create_workspace(workspace_id: str, name: str, timezone: str, data: Path | None) -> None:
    """Create the workspace ID."""
    made = access.with_connection(data, lambda connection: registry.create(connection, workspace_id, name, timezone))
    if not made:
        raise CommandError(f"there is a workspace {workspace_id!r} already")
    click.echo(f"workspace {workspace_id} created")


@workspace_commands.command(name="set")
@click.argument("workspace_id", metavar="ID")
@click.option("--name", help="What people call it from now on.")
@click.option(
    "--timezone", help="IANA name, such as Europe/Berlin: of the days that people see, not of what is stored."
)
@data_option()
def set_workspace(workspace_id: str, name: str | None, timezone: str | None, data: Path | None) -> None:
    """Change the name or the time zone of the workspace ID."""
    if name is None and timezone is None:
        raise click.UsageError("give --name, --timezone, or both")
    access.with_connection(data, lambda connection: registry.change(connection, workspace_id, name, timezone))
    click.echo(f"workspace {workspace_id} changed")


@workspace_commands.command(name="list")
@data_option()
def list_workspaces(data: Path | None) -> None:
    """List workspaces: id, time zone, day of creation, name."""
    found = access.with_connection(data, registry.listed)
    click.echo("id\ttimezone\tcreated\tname")
    for one in found:
        name = clean(one.name, QUOTED)  # a tab or a line's end in it would make a cell or a row of its own
        click.echo("\t".join((one.id, one.timezone, f"{one.created_at:%Y-%m-%d}", name)))
