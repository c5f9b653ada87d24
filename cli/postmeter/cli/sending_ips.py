"""The command `postmeter sending-ip`: the IPs that a workspace sends from, which the aggregator looks up."""

import datetime
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path

import click
import msgspec

from postmeter.cli import access
from postmeter.cli.admin import AdminError
from postmeter.cli.options import data_option
from postmeter.shared.postgres import Connection
from postmeter.shared.sql import Queries

_QUERIES = Queries("postmeter.cli", "sending_ips.sql")

Address = IPv4Address | IPv6Address


class SendingIp(msgspec.Struct, frozen=True, kw_only=True):
    """An IP, when a zone last answered about it, and the zones that list it."""

    ip: Address
    created_at: datetime.datetime
    checked_at: datetime.datetime | None
    listed_in: list[str]


def normal(text: str) -> Address:
    """Return the one address that `text` stands for; an IPv4 address inside an IPv6 one is an IPv4 address.

    Raises AdminError, also for addresses that are not public: receiving servers never see them, so no
    blocklist can say anything about them.
    """
    try:
        address = ip_address(text.strip())
    except ValueError:
        raise AdminError(f"{text!r} is not an IP address{_but_a_network(text)}") from None
    if isinstance(address, IPv6Address):
        if address.scope_id:
            raise AdminError(f"{text!r} belongs to one link only: give the public address that servers see")
        address = address.ipv4_mapped or address
    if not address.is_global or address.is_multicast:
        raise AdminError(f"{text!r} is not public, so no blocklist knows it: give the address that servers see")
    return address


def _but_a_network(text: str) -> str:
    try:
        ip_network(text.strip(), strict=False)
    except ValueError:
        return ", such as 198.51.100.7 or 2001:db8::7"
    return " but a network: name each address that sends"


async def add(connection: Connection, workspace: str, addresses: Sequence[Address]) -> set[Address]:
    """Store IPs and return those that are new. Raises AdminError for an unknown workspace."""
    number = await _number(connection, workspace)
    rows = await connection.fetch(_QUERIES["add"], number, sorted(addresses, key=str))
    return {row["ip"] for row in rows}


async def listing(connection: Connection, workspace: str) -> list[SendingIp]:
    """Return a workspace's IPs. Raises AdminError for an unknown workspace."""
    rows = await connection.fetch(_QUERIES["list"], await _number(connection, workspace))
    return [SendingIp(**dict(row)) for row in rows]


async def remove(connection: Connection, workspace: str, addresses: Sequence[Address]) -> None:
    """Forget all of these IPs, or none: raises AdminError that names those the workspace does not have."""
    number = await _number(connection, workspace)
    async with connection.transaction():
        known = {row["ip"] for row in await connection.fetch(_QUERIES["known"], number, addresses)}
        unknown = [str(address) for address in addresses if address not in known]
        if unknown:
            raise AdminError(f"workspace {workspace!r} has no sending IP {', '.join(unknown)}; nothing was removed")
        await connection.execute(_QUERIES["remove"], number, addresses)


async def _number(connection: Connection, workspace: str) -> int:
    number = await connection.fetchval(_QUERIES["workspace_number"], workspace)
    if number is None:
        raise AdminError(f"there is no workspace {workspace!r}")
    return int(number)


@click.group(name="sending-ip")
def sending_ip_commands() -> None:
    """IPs that a workspace sends from: the aggregator looks them up in blocklists (POSTMETER_DNSBL_ZONES)."""


_workspace = click.option("--workspace", required=True, help="Id of the workspace that sends from these IPs.")
_ips = click.argument("ips", metavar="IP...", nargs=-1, required=True)


@sending_ip_commands.command(name="add")
@_ips
@_workspace
@data_option()
def add_ips(ips: tuple[str, ...], workspace: str, data: Path | None) -> None:
    """Add public IPv4 or IPv6 addresses; they are looked up within a minute."""
    addresses = list(dict.fromkeys(normal(text) for text in ips))
    new = access.with_connection(data, lambda connection: add(connection, workspace, addresses))
    for address in addresses:
        click.echo(f"{address} added" if address in new else f"{address} was there already")


@sending_ip_commands.command(name="list")
@_workspace
@data_option()
def list_ips(workspace: str, data: Path | None) -> None:
    """List a workspace's IPs: address, last check, zones that list it."""
    click.echo("ip\tadded\tlast check\tlisted in")
    for found in access.with_connection(data, lambda connection: listing(connection, workspace)):
        checked = f"{found.checked_at:%Y-%m-%dT%H:%M:%SZ}" if found.checked_at else "never"
        click.echo(f"{found.ip}\t{found.created_at:%Y-%m-%d}\t{checked}\t{','.join(found.listed_in) or '-'}")


@sending_ip_commands.command(name="remove")
@_ips
@_workspace
@data_option()
def remove_ips(ips: tuple[str, ...], workspace: str, data: Path | None) -> None:
    """Remove addresses: their results no longer count."""
    addresses = list(dict.fromkeys(normal(text) for text in ips))
    access.with_connection(data, lambda connection: remove(connection, workspace, addresses))
    for address in addresses:
        click.echo(f"{address} removed")
