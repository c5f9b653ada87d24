"""The command `postmeter key`: API keys."""

from pathlib import Path

import click

from postmeter.cli import access
from postmeter.cli.options import data_option
from postmeter.gateway.keys import registry as key_registry
from postmeter.shared.auth.api_keys import ROLES, SCOPES
from postmeter.shared.privacy import audit
from postmeter.shared.privacy.audit import COMMAND
from postmeter.shared.storage.postgres import Connection


@click.group(name="key")
def key_commands() -> None:
    """API keys: shown once, stored only as an HMAC."""


@key_commands.command(name="create")
@click.option("--workspace", required=True, help="Id of the workspace that the key belongs to.")
@click.option(
    "--role", required=True, type=click.Choice(ROLES), help="What it may do within its scopes: docs/semantics.md."
)
@click.option("--scope", "scopes", required=True, multiple=True, type=click.Choice(SCOPES), help="Repeatable.")
@click.option("--domain", "domains", multiple=True, help="Repeatable; the domains of a domain_admin.")
@data_option()
def create_key(workspace: str, role: str, scopes: tuple[str, ...], domains: tuple[str, ...], data: Path | None) -> None:
    """Create a key and print it; it is shown only this once."""
    pepper = access.key_pepper(data)

    async def created(connection: Connection) -> str:
        async with audit.change(connection):
            made, key = await key_registry.create(connection, pepper, workspace, role, scopes, domains)
            await key_registry.note_created(connection, made, COMMAND)
            return key

    click.echo(access.with_connection(data, created))


@key_commands.command(name="list")
@click.option("--workspace", help="Only the keys of this workspace.")
@data_option()
def list_keys(workspace: str | None, data: Path | None) -> None:
    """List keys: id, workspace, role, scopes, domains, state."""
    keys = access.with_connection(data, lambda connection: key_registry.listed(connection, workspace, revoked=True))
    click.echo("id\tworkspace\trole\tscopes\tdomains\tstate")
    for key in keys:
        state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "valid"
        domains = ",".join(key.domains) if key.domains else "-"
        click.echo("\t".join((key.id, key.workspace, key.role, ",".join(key.scopes), domains, state)))


@key_commands.command(name="revoke")
@click.argument("key", metavar="KEY_ID")
@data_option()
def revoke_key(key: str, data: Path | None) -> None:
    """Revoke the key with this id; it stops working within seconds."""
    key_id, _ = access.with_connection(data, lambda connection: key_registry.revoke(connection, key, COMMAND))
    click.echo(f"key {key_id} revoked")
