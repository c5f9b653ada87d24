"""The command `postmeter`."""

import asyncio
import gc
import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from postmeter.cli import setting_names
from postmeter.cli.local.errors import LocalError
from postmeter.cli.options import DEFAULT_DATA, data_option, local_options
from postmeter.shared.errors import PostmeterError

if TYPE_CHECKING:
    from postmeter.cli.local.ready_file import Ready

SERVICES = ("gateway", "tracking", "query", "aggregator")
COMMANDS = {
    "workspace": ("workspaces", "workspace_commands"),
    "key": ("keys", "key_commands"),
    "user": ("users", "user_commands"),
    "source": ("sources", "source_commands"),
    "shards": ("shards", "shard_commands"),
    "verdicts": ("verdicts", "verdict_commands"),
    "privacy": ("privacy", "privacy_commands"),
    "consent": ("consent", "consent_commands"),
    "sending-ip": ("sending_ips", "sending_ip_commands"),
    "spool": ("spool", "spool_commands"),
    "secret": ("secrets", "secret_commands"),
    "psql": ("clients", "psql_command"),
    "redis-cli": ("clients", "redis_cli_command"),
}
"""Commands and groups of them: for each the module beside this one, and its name there. It is imported when it is
called, so that neither a service nor another command loads any of it."""


class _Group(click.Group):
    """Has COMMANDS, too. Shows errors that were raised on purpose as one clear line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*self.commands, *COMMANDS])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, name = COMMANDS[cmd_name]
        found = getattr(importlib.import_module(f"postmeter.cli.{module}"), name)
        assert isinstance(found, click.Command)
        return found

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (LocalError, PostmeterError) as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            raise click.ClickException(str(error) or type(error).__name__) from error


@click.group(cls=_Group, epilog="In a clone `./postmeter extras` installs what parquet, S3 buckets and traces need.")
@click.version_option(package_name="postmeter")
def main() -> None:
    """Postmeter: email tracking and analytics that you run yourself."""


@main.command()
@local_options
def up(data: Path, port: int, tracking_port: int) -> None:
    """Run the whole product on this machine, in the foreground."""
    # Imported here so that a single service does not load what only local mode needs.
    from postmeter.cli.local.ready_file import FILE
    from postmeter.cli.local.supervisor import Supervisor

    Supervisor(data, port, tracking_port, _say).run(lambda ready: _announce(ready, data / FILE))


@main.command()
@local_options
@click.option(
    "--people",
    default=3600,
    show_default=True,
    type=click.IntRange(20, 50_000),
    help="On the mailing lists; fewer are filled in sooner. Counts when a demo is begun.",
)
def demo(data: Path, port: int, tracking_port: int, people: int) -> None:
    """Run the whole product with 90 days of made-up mail. Then live traffic, in a workspace of its own."""
    from postmeter.cli.demo import progress
    from postmeter.cli.demo.companion import companion
    from postmeter.cli.local.ready_file import FILE, Ready
    from postmeter.cli.local.supervisor import Supervisor

    def announce(ready: Ready) -> None:
        _announce(ready, data / FILE)
        begun = progress.load(data)
        how = "filled in now, the newest day first" if begun is None or begun.days else "all filled in before"
        click.echo(f"In it: an invented coffee roaster's 40 campaigns of 90 days, {how}.")
        click.echo("Then live traffic, as long as this runs.")
        click.echo(f"When you have seen enough: rm -r {data} (with whatever else you keep in it)")

    Supervisor(data, port, tracking_port, _say, companion(people)).run(announce)


@main.command()
@click.argument("service", type=click.Choice(SERVICES))
def run(service: str) -> None:
    """Run one service, configured by POSTMETER_* variables."""
    # What is imported stays to the end, so looking for garbage in it, now or later, would be in vain.
    gc.disable()
    module = importlib.import_module(f"postmeter.{service}.service")
    gc.freeze()
    gc.enable()
    for said in setting_names.misspelt(service, os.environ, SERVICES):
        click.echo(f"postmeter {service}: {said}", err=True)
    module.main()


@main.command()
@data_option(default=DEFAULT_DATA)
@click.argument("urls", nargs=-1, metavar="[URL]...")
def status(data: Path, urls: tuple[str, ...]) -> None:
    """Say what works, what does not, and why.

    Asks the services of `postmeter up`, or those whose ops ports (POSTMETER_OPS_PORT) are named, such as
    http://127.0.0.1:9090. Ends with 0 if all of them are ready, else with 1.
    """
    from postmeter.cli import status as looking

    found = looking.status(data, urls)
    click.echo("\n".join(found.lines))
    sys.exit(0 if found.is_ready else 1)


@main.command()
@data_option()
@click.option("--after", is_flag=True, help="Also do what may be done only once no older service runs.")
@click.option("--check", is_flag=True, help="Only say what there is to do; the status is 1 if there is something.")
def migrate(data: Path | None, after: bool, check: bool) -> None:
    """Bring the database schema up to date. Before services are replaced, and with --after once they all are."""
    from postmeter.cli import access
    from postmeter.cli.local.database import named_errors
    from postmeter.shared.storage.migrate import migrate as apply
    from postmeter.shared.storage.migrate import pending

    if check:
        with access.database_dsn(data) as dsn, named_errors():
            missing = asyncio.run(pending(dsn.reveal(), after=after))
        click.echo("\n".join(f"to be applied: {name}" for name in missing) or "the schema is up to date")
        sys.exit(1 if missing else 0)
    with access.database_dsn(data) as dsn, named_errors():
        applied = asyncio.run(apply(dsn.reveal(), after=after))
    click.echo("\n".join(f"applied {name}" for name in applied) or "the schema is up to date")


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def test(arguments: tuple[str, ...]) -> None:
    """Run the tests; arguments go to pytest."""
    from postmeter.cli import checks

    sys.exit(checks.run_tests(arguments))


@main.command()
def check() -> None:
    """Run what CI runs: lint, format, types, tests."""
    from postmeter.cli import checks

    sys.exit(checks.run_all())


def _say(text: str) -> None:
    click.echo(f"postmeter: {text}", err=True)


def _announce(ready: "Ready", file: Path) -> None:
    click.echo(f"gateway   {ready.gateway}")
    click.echo(f"tracking  {ready.tracking}")
    click.echo(f"workspace {ready.workspace}; its API key is in {file}")
    if ready.dashboard:
        click.echo(f"sign in   {ready.dashboard} (once, within a day)")
    click.echo("Ctrl-C stops everything.")


if __name__ == "__main__":
    main()
