"""The command `postmeter secret`: which secrets the database knows the fingerprints of."""

from pathlib import Path

import click

from postmeter.cli import access
from postmeter.cli.errors import CommandError
from postmeter.cli.options import data_option
from postmeter.shared.auth import fingerprints


@click.group(name="secret")
def secret_commands() -> None:
    """Fingerprints of secrets, by which a change is noticed. The secrets themselves are nowhere."""


@secret_commands.command(name="list")
@data_option()
def list_secrets(data: Path | None) -> None:
    """List what is kept: name, fingerprint, since when."""
    kept = access.with_connection(data, fingerprints.kept)
    click.echo("name\tfingerprint\tsince")
    for one in kept.values():
        click.echo(f"{one.name}\t{fingerprints.shown(one.value)}\t{one.since:%Y-%m-%d}")


@secret_commands.command(name="forget")
@click.argument("name")
@data_option()
def forget_secret(name: str, data: Path | None) -> None:
    """Give up the secret NAME. What was made under it (API keys, links) never works again unless it is put back.

    The next secret of that name is accepted as the right one.
    """
    if not access.with_connection(data, lambda connection: fingerprints.forget(connection, name)):
        raise CommandError(f"there is no fingerprint {name!r}; `postmeter secret list` shows all")
    click.echo(f"{name} is forgotten; what was made under it stays listed, and does not work")
