"""The command `postmeter sending-ip`: the IPs that a workspace sends from, which the aggregator looks up."""

from collections.abc import Sequence
from pathlib import Path

import click

from postmeter.cli import access
from postmeter.cli.options import data_option
from postmeter.gateway.workspace import sending_ips
from postmeter.gateway.workspace.sending_ips import Address, SendingIp
from postmeter.shared.privacy import audit
from postmeter.shared.privacy.audit import COMMAND
from postmeter.shared.storage.postgres import Connection


@click.group(name="sending-ip")
def sending_ip_commands() -> None:
    """IPs that a workspace sends from. The aggregator looks them up in blocklists (POSTMETER_DNSBL_ZONES)."""


_workspace = click.option("--workspace", required=True, help="Id of the workspace that sends from these IPs.")
_ips = click.argument("ips", metavar="IP...", nargs=-1, required=True)


@sending_ip_commands.command(name="add")
@_ips
@_workspace
@data_option()
def add_ips(ips: tuple[str, ...], workspace: str, data: Path | None) -> None:
    """Add public IPv4 or IPv6 addresses. They are looked up within a minute."""
    addresses = _read(ips)
    new = access.with_connection(data, lambda connection: _add(connection, workspace, addresses))
    for address in addresses:
        click.echo(f"{address} added" if address in new else f"{address} was there already")


@sending_ip_commands.command(name="list")
@_workspace
@data_option()
def list_ips(workspace: str, data: Path | None) -> None:
    """List a workspace's IPs: address, last check, zones that list it."""
    rows = access.with_connection(data, lambda connection: _listing(connection, workspace))
    click.echo("ip\tadded\tlast check\tlisted in")
    for found in rows:
        checked = f"{found.checked_at:%Y-%m-%dT%H:%M:%SZ}" if found.checked_at else "never"
        click.echo(f"{found.ip}\t{found.created_at:%Y-%m-%d}\t{checked}\t{','.join(found.listed_in) or '-'}")


@sending_ip_commands.command(name="remove")
@_ips
@_workspace
@data_option()
def remove_ips(ips: tuple[str, ...], workspace: str, data: Path | None) -> None:
    """Remove addresses: their results no longer count."""
    addresses = _read(ips)
    access.with_connection(data, lambda connection: _remove(connection, workspace, addresses))
    for address in addresses:
        click.echo(f"{address} removed")


def _read(ips: Sequence[str]) -> list[Address]:
    return list(dict.fromkeys(sending_ips.normal(text) for text in ips))


async def _add(connection: Connection, workspace: str, addresses: Sequence[Address]) -> set[Address]:
    async with audit.change(connection):
        return await sending_ips.add(connection, await sending_ips.number(connection, workspace), addresses, COMMAND)


async def _listing(connection: Connection, workspace: str) -> list[SendingIp]:
    return await sending_ips.listing(connection, await sending_ips.number(connection, workspace))


async def _remove(connection: Connection, workspace: str, addresses: Sequence[Address]) -> None:
    async with audit.change(connection):
        await sending_ips.remove(connection, await sending_ips.number(connection, workspace), addresses, COMMAND)
