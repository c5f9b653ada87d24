"""IPs that a workspace sends from: kept by the command `postmeter sending-ip` and by /v1/sending-ips alike."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TypeAlias

import asyncpg
import msgspec

from postmeter.shared.errors import PostmeterError
from postmeter.shared.privacy import audit
from postmeter.shared.privacy.audit import Action
from postmeter.shared.storage.postgres import Connection, Pool
from postmeter.shared.storage.sql import Queries
from postmeter.shared.text.quoting import quoted

_QUERIES = Queries("postmeter.gateway.workspace", "sending_ips.sql")
MOST = 1000
"""IPs of a workspace: each is looked up in every blocklist, again and again."""
_LISTED = 100_000
Address = IPv4Address | IPv6Address
Database: TypeAlias = "Connection | Pool"


class AddressRefused(PostmeterError):
    """This is not a public address, from which mail can be sent to others."""


class TooManyAddresses(PostmeterError):
    """The workspace would have more IPs than are looked up."""


class NoSuchAddress(PostmeterError):
    """The workspace does not send from there, or there is no such workspace."""


class SendingIp(msgspec.Struct, frozen=True, kw_only=True):
    """An IP, when a zone last answered about it, and the zones that list it."""

    ip: Address
    created_at: datetime.datetime
    checked_at: datetime.datetime | None
    listed_in: list[str]


def normal(text: str) -> Address:
    """Return the one address that `text` stands for; an IPv4 address inside an IPv6 one is an IPv4 address.

    Raises AddressRefused, also for addresses that are not public: receiving servers never see them, so no
    blocklist can say anything about them.
    """
    try:
        address = ip_address(text.strip())
    except ValueError:
        raise AddressRefused(f"{quoted(text)} is not an IP address{_but_a_network(text)}") from None
    if isinstance(address, IPv6Address):
        if address.scope_id:
            raise AddressRefused(f"{quoted(text)} belongs to one link only: give the public address that servers see")
        address = address.ipv4_mapped or address
    if not address.is_global or address.is_multicast:
        raise AddressRefused(
            f"{quoted(text)} is not public, so no blocklist knows it: give the address that servers see"
        )
    return address


def _but_a_network(text: str) -> str:
    try:
        ip_network(text.strip(), strict=False)
    except ValueError:
        return ", such as 198.51.100.7 or 2001:db8::7"
    return " but a network: name each address that sends"


async def number(database: Database, workspace: str) -> int:
    """The number of a workspace (public id). Raises NoSuchAddress."""
    found = await database.fetchval(_QUERIES["workspace_number"], workspace)
    if found is None:
        raise NoSuchAddress(f"there is no workspace {quoted(workspace)}; `postmeter workspace list` shows all")
    return int(found)


async def add(connection: Connection, workspace: int, addresses: Sequence[Address], actor: str) -> set[Address]:
    """Store all of these IPs, or none; those that are new. Raises TooManyAddresses. Run in a transaction.

    actor: see audit.record.
    """
    wanted = sorted(set(addresses), key=str)
    rows = await connection.fetch(_QUERIES["add"], workspace, wanted, MOST)
    if len(await of(connection, workspace, wanted)) < len(wanted):
        raise TooManyAddresses(f"a workspace has {MOST} sending IPs at most; remove those that send no more")
    new = {row["ip"] for row in rows}
    if new:
        await audit.record(connection, workspace, actor, Action.SENDING_IPS_ADDED, "", _told(new))
    return new


async def of(database: Database, workspace: int, addresses: Sequence[Address]) -> list[SendingIp]:
    """Those of the IPs that the workspace sends from."""
    return [_sending_ip(row) for row in await database.fetch(_QUERIES["known"], workspace, addresses)]


async def listing(database: Database, workspace: int) -> list[SendingIp]:
    """A workspace's IPs, in their order."""
    return [_sending_ip(row) for row in await database.fetch(_QUERIES["list"], workspace, _LISTED)]


async def remove(connection: Connection, workspace: int, addresses: Sequence[Address], actor: str) -> None:
    """Forget all of these IPs, or none: raises NoSuchAddress with those that the workspace does not have.

    Run in a transaction.
    """
    gone = {row["ip"] for row in await connection.fetch(_QUERIES["remove"], workspace, addresses)}
    unknown = [str(address) for address in addresses if address not in gone]
    if unknown:
        raise NoSuchAddress(f"the workspace has no sending IP {', '.join(unknown)}; nothing was removed")
    await audit.record(connection, workspace, actor, Action.SENDING_IPS_REMOVED, "", _told(gone))


def _told(addresses: Iterable[Address]) -> dict[str, list[str]]:
    return {"ips": sorted(map(str, addresses))}


def _sending_ip(row: asyncpg.Record) -> SendingIp:
    return SendingIp(**dict(row))
