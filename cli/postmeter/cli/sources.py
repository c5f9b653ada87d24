"""The command `postmeter source`: webhooks of email providers."""

import secrets
import sys
from pathlib import Path

import click
import msgspec

from postmeter.cli import access
from postmeter.cli.admin import AdminError
from postmeter.cli.options import data_option
from postmeter.shared import sources
from postmeter.shared.errors import RequestError
from postmeter.shared.postgres import Connection
from postmeter.shared.secret import Secret
from postmeter.shared.sql import Queries

_QUERIES = Queries("postmeter.cli", "sources.sql")


@click.group(name="source")
def source_commands() -> None:
    """Sources: webhooks that email providers send their events to."""


@source_commands.command(name="create")
@click.option("--workspace", required=True, help="Id of the workspace whose mail it tells about.")
@click.option("--provider", required=True, type=click.Choice(sorted(sources.PROVIDERS)))
@click.option("--name", default="", help="What people call it.")
@click.option("--secret", help="What the provider signs with, if its console shows it already; else see `secret`.")
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
    secret: str | None,
    options: tuple[str, ...],
    engagement: str,
    data: Path | None,
) -> None:
    """Create a source; prints its URL and, this once, its secret."""
    key, base = access.source_key(data), access.gateway_url(data)
    made = Secret(secrets.token_urlsafe(32) if secret is None else secret.strip())
    told = _options(provider, options)
    missing = secret is None and _makes_its_own(provider)
    if not missing:
        _check(provider, made, told)
    stored = sources.encrypt(made, key)
    given = msgspec.json.encode(told).decode()
    source_id = sources.new_id()

    async def create(connection: Connection) -> str | None:
        arguments = (source_id, workspace, provider, name, stored, given, engagement)
        found: str | None = await connection.fetchval(_QUERIES["create_source"], *arguments)
        return found

    if access.with_connection(data, create) is None:
        raise click.ClickException(f"there is no workspace {workspace!r}")
    click.echo(f"url    {base}/v1/webhooks/{provider}/{source_id}")
    if missing:
        click.echo(f"secret missing: nothing is taken before `postmeter source secret {source_id}`", err=True)
    elif secret is None:
        click.echo(f"secret {made.reveal()}")
        if _travels_in_url(provider):
            with_password = base.replace("://", f"://postmeter:{made.reveal()}@", 1)
            click.echo(f"paste  {with_password}/v1/webhooks/{provider}/{source_id}")
    click.echo(f"how    docs/webhooks/{provider}.md", err=True)


@source_commands.command(name="list")
@click.option("--workspace", help="Only the sources of this workspace.")
@data_option()
def list_sources(workspace: str | None, data: Path | None) -> None:
    """List sources: id, workspace, provider, name, engagement, state."""
    rows = access.with_connection(data, lambda connection: connection.fetch(_QUERIES["list_sources"], workspace))
    click.echo("id\tworkspace\tprovider\tname\tengagement\tstate")
    for row in rows:
        state = f"revoked {row['revoked_at']:%Y-%m-%d}" if row["revoked_at"] else "valid"
        cells = (row["id"], row["workspace"], row["provider"], row["name"] or "-", row["engagement"], state)
        click.echo("\t".join(cells))


@source_commands.command(name="secret")
@click.argument("source", metavar="SOURCE_ID")
@click.option("--secret", help="As the provider's console shows it; if absent, asked for or read from a pipe.")
@data_option()
def set_secret(source: str, secret: str | None, data: Path | None) -> None:
    """Say what a source's provider signs with; deliveries are checked with it within seconds."""
    found = access.with_connection(data, lambda connection: connection.fetchrow(_QUERIES["find_source"], source))
    if found is None:
        raise _not_there(source)
    given = Secret((_typed() if secret is None else secret).strip())
    _check(found["provider"], given, msgspec.json.decode(found["options"], type=dict[str, str]))
    stored = sources.encrypt(given, access.source_key(data))
    _change(data, "replace_secret", source, stored)
    click.echo(f"source {source}: secret stored")


@source_commands.command(name="engagement")
@click.argument("source", metavar="SOURCE_ID")
@click.argument("whose", type=click.Choice(sources.ENGAGEMENT))
@data_option()
def set_engagement(source: str, whose: str, data: Path | None) -> None:
    """Say whose opens and clicks count from now on: our own, or the provider's."""
    _change(data, "count_engagement_of", source, whose)
    click.echo(f"source {source}: {whose} opens and clicks count")


@source_commands.command(name="revoke")
@click.argument("source", metavar="SOURCE_ID")
@data_option()
def revoke_source(source: str, data: Path | None) -> None:
    """Revoke a source; its URL stops working within seconds."""
    _change(data, "revoke_source", source)
    click.echo(f"source {source} revoked")


def _change(data: Path | None, query: str, *arguments: str) -> None:
    if access.with_connection(data, lambda connection: connection.fetchval(_QUERIES[query], *arguments)) is None:
        raise _not_there(arguments[0])


def _not_there(source: str) -> AdminError:
    return AdminError(f"there is no source {source!r} that is not revoked; `postmeter source list` shows all")


def _typed() -> str:
    """A secret from the terminal, unseen, or a line of what is piped in."""
    return str(click.prompt("Secret", hide_input=True)) if sys.stdin.isatty() else sys.stdin.readline()


def _check(provider: str, secret: Secret, options: dict[str, str]) -> None:
    """Refuse what the provider's deliveries could never fit, before its console is told the URL."""
    from postmeter.tracking.webhooks.delivery import Source
    from postmeter.tracking.webhooks.providers import PROVIDERS

    if not secret.reveal():
        raise AdminError("the secret is empty: anybody could sign with it")
    check = PROVIDERS[provider].check
    if check is None:
        return
    try:
        check(Source(id="", workspace=0, provider=provider, secret=secret, options=options))
    except RequestError as error:
        raise AdminError(f"{error.message} docs/webhooks/{provider}.md says where to find it") from None


def _makes_its_own(provider: str) -> bool:
    """Whether the provider signs with a secret of its making, which it often shows only once it knows the URL."""
    # Imported here: a single service shall not load what only this command needs.
    from postmeter.tracking.webhooks.provider import SecretOrigin
    from postmeter.tracking.webhooks.providers import PROVIDERS

    return PROVIDERS[provider].secret is SecretOrigin.THEIRS


def _travels_in_url(provider: str) -> bool:
    from postmeter.tracking.webhooks.providers import PROVIDERS

    return PROVIDERS[provider].password_in_url


def _options(provider: str, given: tuple[str, ...]) -> dict[str, str]:
    from postmeter.tracking.webhooks.providers import PROVIDERS

    options = dict(text.partition("=")[::2] for text in given)
    if "" in options or len(options) < len(given):
        raise AdminError("--option takes NAME=VALUE, each name once")
    wanted = PROVIDERS[provider].options
    if set(options) != set(wanted) or not all(options.values()):
        names = " ".join(f"--option {name}=..." for name in wanted) or "no --option"
        raise AdminError(f"{provider} takes {names}: docs/webhooks/{provider}.md says what")
    return options
