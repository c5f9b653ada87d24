"""The command `postmeter source`: webhooks of email providers."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO, TypeVar

import click
from redis.exceptions import RedisError

from postmeter.cli import access
from postmeter.cli.options import data_option
from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import PostmeterError
from postmeter.shared.privacy import audit
from postmeter.shared.privacy.audit import COMMAND, Action
from postmeter.shared.storage import sources
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.stream import redis_clients, source_log
from postmeter.shared.text.quoting import QUOTED, clean

T = TypeVar("T")
_SHOWN_ON_COMMAND_LINES = (
    "what stands on a command line is seen by everybody on this machine, and kept by shells: pipe the secret in "
    "(--secret-file -), name a file that holds it, or let `postmeter source secret` ask for it. Have the provider "
    "make a new one in place of that which you have just given"
)


def _no_secret_here(_: click.Context, option: click.Parameter, value: str | None) -> None:
    if value is not None:
        raise click.BadParameter(_SHOWN_ON_COMMAND_LINES)


F = TypeVar("F", bound=Callable[..., Any])


def _secret_options(help_text: str) -> Callable[[F], F]:
    """--secret-file, and --secret, which is refused."""

    def add(command: F) -> F:
        old = click.option("--secret", "_refused", hidden=True, expose_value=False, callback=_no_secret_here)
        file = click.option("--secret-file", type=click.File(), metavar="FILE", help=help_text)
        return old(file(command))

    return add


@click.group(name="source")
def source_commands() -> None:
    """Sources: webhooks that email providers send their events to."""


@source_commands.command(name="create")
@click.option("--workspace", required=True, help="Id of the workspace whose mail it tells about.")
@click.option(
    "--provider", required=True, type=click.Choice(sorted(sources.PROVIDERS)), help="Who sends: docs/webhooks."
)
@click.option("--name", default="", help="What people call it.")
@_secret_options("Holds what the provider signs with, where its console shows it already; -: standard input.")
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE", help="Repeatable; the provider's page says.")
@click.option(
    "--engagement",
    default="own",
    show_default=True,
    type=click.Choice(sources.ENGAGEMENT),
    help="Whose opens and clicks count where mail carries our pixel.",
)
@data_option()
def create_source(
    workspace: str,
    provider: str,
    name: str,
    secret_file: TextIO | None,
    options: tuple[str, ...],
    engagement: str,
    data: Path | None,
) -> None:
    """Create a source; prints its URL and, only once, its secret."""
    # Imported here and below so that a single service does not load what only this command needs.
    from postmeter.tracking.webhooks.sources import registry

    key, base = access.source_key(data), access.gateway_url(data)

    async def create(connection: Connection) -> registry.SavedSource:
        async with audit.change(connection):
            made = await registry.create(
                connection,
                key,
                workspace,
                provider,
                name=name,
                secret=_read(secret_file),
                options=_options(options),
                engagement=engagement,
            )
            await registry.note(connection, made.source, Action.SOURCE_CREATED, COMMAND)
            return made

    told = _on_database(data, create)
    click.echo(f"url    {registry.url(base, told.source)}")
    if told.missing:
        click.echo(f"secret missing: nothing is taken before `postmeter source secret {told.source.id}`", err=True)
    if told.secret is not None:
        click.echo(f"secret {told.secret.reveal()}")
    if (paste := told.paste(base)) is not None:
        click.echo(f"paste  {paste}")
    click.echo(f"how    docs/webhooks/{provider}.md", err=True)


@source_commands.command(name="list")
@click.option("--workspace", help="Only the sources of this workspace.")
@data_option()
def list_sources(workspace: str | None, data: Path | None) -> None:
    """List sources: a line each. Id, workspace, provider, name, engagement, state."""
    from postmeter.tracking.webhooks.sources import registry

    found = _on_database(data, lambda connection: registry.listed(connection, workspace, revoked=True))
    click.echo("id\tworkspace\tprovider\tname\tengagement\tstate")
    for source in found:
        state = f"revoked {source.revoked_at:%Y-%m-%d}" if source.revoked_at else "valid"
        cells = (source.id, source.workspace, source.provider, _cell(source.name) or "-", source.engagement, state)
        click.echo("\t".join(cells))


@source_commands.command(name="show")
@click.argument("source", metavar="SOURCE_ID")
@data_option()
def show_source(source: str, data: Path | None) -> None:
    """Show what a source brought last. Deliveries, those not taken, and what was not understood, the latest first."""
    from postmeter.tracking.webhooks.sources import registry

    found = _on_database(data, lambda connection: registry.find(connection, None, source))
    history = asyncio.run(_history(access.redis_url(data), source))
    name = _cell(found.name) or "without a name"
    click.echo(f"source {source}: {found.provider}, workspace {found.workspace}, {name}")
    click.echo(f"\ntaken{'' if history.taken else ': nothing yet'}")
    for one in history.taken:
        click.echo(f"  {_when(one.at)}  events {one.events}, not understood {one.unread}")
    if history.refused:
        click.echo("\nnot taken")
        for one in history.refused:
            click.echo(f"  {_when(one.at)}  {one.error}")
    if history.unread:
        click.echo("\nnot understood")
        for item in history.unread:
            click.echo(f"  {_when(item.at)}  {item.why}\n      {item.item}")


@source_commands.command(name="secret")
@click.argument("source", metavar="SOURCE_ID")
@_secret_options("Holds the secret as the provider's console shows it; if absent, asked for or read from a pipe.")
@data_option()
def set_secret(source: str, secret_file: TextIO | None, data: Path | None) -> None:
    """Set the secret that a source's provider signs with. Deliveries are checked with it within seconds."""
    from postmeter.tracking.webhooks.sources import registry

    key = access.source_key(data)
    _on_database(data, lambda connection: registry.find(connection, None, source))  # before anybody types
    given = _read(secret_file) or _typed()
    _change(data, key, source, secret=given)
    click.echo(f"source {source}: secret stored")


@source_commands.command(name="engagement")
@click.argument("source", metavar="SOURCE_ID")
@click.argument("whose", type=click.Choice(sources.ENGAGEMENT))
@data_option()
def set_engagement(source: str, whose: str, data: Path | None) -> None:
    """Set whose opens and clicks count from now on. Our own, or the provider's."""
    _change(data, access.source_key(data), source, engagement=whose)
    click.echo(f"source {source}: {whose} opens and clicks count")


@source_commands.command(name="revoke")
@click.argument("source", metavar="SOURCE_ID")
@data_option()
def revoke_source(source: str, data: Path | None) -> None:
    """Revoke a source; its URL stops working within seconds."""
    from postmeter.tracking.webhooks.sources import registry

    _on_database(data, lambda connection: registry.revoke(connection, None, source, COMMAND))
    click.echo(f"source {source} revoked")


def _change(data: Path | None, key: Secret, source: str, **given: Any) -> None:
    """Change what is given of a source."""
    from postmeter.tracking.webhooks.sources import registry

    async def change(connection: Connection) -> None:
        async with audit.change(connection):
            told = await registry.change(connection, key, None, source, **given)
            await registry.note(connection, told.source, Action.SOURCE_CHANGED, COMMAND, given)

    _on_database(data, change)


def _on_database(data: Path | None, work: Callable[[Connection], Coroutine[Any, Any, T]]) -> T:
    """What `work` returns; an error for a source that is not there names `postmeter source list`."""
    from postmeter.tracking.webhooks.sources.registry import NoSuchSource

    try:
        return access.with_connection(data, work)
    except NoSuchSource as error:
        raise NoSuchSource(f"{error}; `postmeter source list` shows all") from None


async def _history(url: Secret, source: str) -> source_log.History:
    redis = redis_clients.client(url, socket_timeout=5.0, socket_connect_timeout=5.0)
    try:
        return await source_log.history(redis, source)
    except (RedisError, OSError) as error:
        raise PostmeterError(f"Redis, which remembers deliveries, does not answer: {error}") from None
    finally:
        await redis.aclose()


def _cell(name: str) -> str:
    """A name as one cell: it may come from the API, and no cell, row or control sequence of its own is to be in it."""
    return clean(name, QUOTED)


def _when(micros: int) -> str:
    return datetime.fromtimestamp(micros // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _read(file: TextIO | None) -> Secret | None:
    return None if file is None else Secret(file.read().strip())


def _typed() -> Secret:
    """A secret from the terminal, unseen, or a line of what is piped in."""
    return Secret(str(click.prompt("Secret", hide_input=True)) if sys.stdin.isatty() else sys.stdin.readline())


def _options(given: tuple[str, ...]) -> dict[str, str]:
    options = dict(text.partition("=")[::2] for text in given)
    if "" in options or len(options) < len(given):
        raise PostmeterError("--option takes NAME=VALUE, each name once")
    return options
