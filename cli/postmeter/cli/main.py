"""The command `postmeter`."""

import asyncio
import importlib
import sys
from pathlib import Path

import click

from postmeter.cli import access, checks
from postmeter.cli.keys import key_commands, workspace_commands
from postmeter.cli.local.errors import LocalError
from postmeter.cli.options import data_option
from postmeter.cli.secrets import secret_commands
from postmeter.cli.sending_ips import sending_ip_commands
from postmeter.cli.sources import source_commands
from postmeter.cli.spool import spool_commands
from postmeter.cli.verdicts import verdict_commands
from postmeter.shared.errors import PostmeterError

SERVICES = ("gateway", "tracking", "query", "aggregator")


class _Group(click.Group):
    """Shows errors that were raised on purpose as one clear line."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (LocalError, PostmeterError) as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            raise click.ClickException(str(error) or type(error).__name__) from error


@click.group(cls=_Group)
@click.version_option(package_name="postmeter")
def main() -> None:
    """Postmeter: email tracking and analytics that you run yourself."""


@main.command()
@data_option(default=access.DEFAULT_DATA)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="Gateway; 0: any.")
@click.option(
    "--tracking-port", default=8081, show_default=True, type=click.IntRange(0, 65535), help="Tracking; 0: any."
)
def up(data: Path, port: int, tracking_port: int) -> None:
    """Run the whole product on this machine, in the foreground."""
    # Imported here: a single service shall not load what only local mode needs.
    from postmeter.cli.local.ready_file import FILE, Ready
    from postmeter.cli.local.supervisor import Supervisor

    def say(text: str) -> None:
        click.echo(f"postmeter: {text}", err=True)

    def announce(ready: Ready) -> None:
        click.echo(f"gateway   {ready.gateway}")
        click.echo(f"tracking  {ready.tracking}")
        click.echo(f"workspace {ready.workspace}; its API key is in {data / FILE}")
        click.echo("Ctrl-C stops everything.")

    Supervisor(data, port, tracking_port, say).run(announce)


@main.command()
@click.argument("service", type=click.Choice(SERVICES))
def run(service: str) -> None:
    """Run one service, configured by POSTMETER_* variables."""
    importlib.import_module(f"postmeter.{service}.service").main()


@main.command()
@data_option()
def migrate(data: Path | None) -> None:
    """Bring the database schema up to date."""
    from postmeter.cli.local.database import named_errors
    from postmeter.shared.migrate import migrate as apply

    with access.database_dsn(data) as dsn, named_errors():
        applied = asyncio.run(apply(dsn.reveal()))
    click.echo("\n".join(f"applied {name}" for name in applied) or "the schema is up to date")


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def test(arguments: tuple[str, ...]) -> None:
    """Run the tests; arguments go to pytest."""
    sys.exit(checks.run_tests(arguments))


@main.command()
def check() -> None:
    """Run what CI runs: lint, format, types, tests."""
    sys.exit(checks.run_all())


main.add_command(workspace_commands)
main.add_command(key_commands)
main.add_command(source_commands)
main.add_command(verdict_commands)
main.add_command(sending_ip_commands)
main.add_command(spool_commands)
main.add_command(secret_commands)

if __name__ == "__main__":
    main()
