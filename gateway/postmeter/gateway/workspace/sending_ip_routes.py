"""/v1/sending-ips: the IPs that a workspace sends from, which the aggregator looks up in blocklists."""

from __future__ import annotations

from urllib.parse import unquote

import msgspec
from aiohttp import web

from postmeter.gateway.routes import Handler
from postmeter.gateway.workspace import sending_ips
from postmeter.gateway.workspace.sending_ips import Address, AddressRefused, NoSuchAddress, SendingIp, TooManyAddresses
from postmeter.shared.apis.workspace import sending_ips as api
from postmeter.shared.auth.principal import Principal
from postmeter.shared.errors import RequestError
from postmeter.shared.http import json_bodies
from postmeter.shared.http.answers import json
from postmeter.shared.http.fields import invalid
from postmeter.shared.privacy import audit
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.text.stamps import stamp


class SendingIpRoutes:
    """The handlers of api.ENDPOINTS."""

    def __init__(self, reads: Pool, writes: Pool) -> None:
        self._reads = reads
        self._writes = writes

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """By method and path."""
        return {
            ("GET", api.PATH): self._list,
            ("POST", api.PATH): self._add,
            ("DELETE", api.ONE_PATH): self._remove,
        }

    async def _list(self, request: web.BaseRequest, caller: Principal | None, body: bytes) -> web.Response:
        workspace = _workspace(caller)
        return _answer(await sending_ips.listing(self._reads, workspace))

    async def _add(self, request: web.BaseRequest, caller: Principal | None, body: bytes) -> web.Response:
        workspace = _workspace(caller)
        addresses = [_address(text, f"ips[{at}]") for at, text in enumerate(json_bodies.decode(_new, body).ips)]
        async with self._writes.acquire() as connection, audit.change(connection):
            try:
                await sending_ips.add(connection, workspace, addresses, _actor(caller))
            except TooManyAddresses as error:
                raise RequestError(409, "TOO_MANY_SENDING_IPS", f"{error}.", "ips") from None
            found = await sending_ips.of(connection, workspace, addresses)
        return _answer(found, 201)

    async def _remove(self, request: web.BaseRequest, caller: Principal | None, body: bytes) -> web.Response:
        workspace = _workspace(caller)
        text = unquote(request.raw_path.partition("?")[0].rpartition("/")[2])
        try:
            address = sending_ips.normal(text)
            async with self._writes.acquire() as connection, audit.change(connection):
                await sending_ips.remove(connection, workspace, [address], _actor(caller))
        except (AddressRefused, NoSuchAddress):
            raise RequestError(404, "NOT_FOUND", "The workspace has no such sending IP.") from None
        return json(api.RemovedIpAnswer(api.RemovedIp(str(address))))


def _workspace(caller: Principal | None) -> int:
    """Whose IPs it is about. Raises RequestError 403 for callers confined to domains: no IP is a domain's own."""
    assert caller is not None
    if caller.confined_to is not None:
        message = "Sending IPs are the workspace's; you are confined to domains."
        raise RequestError(403, "FORBIDDEN", message)
    return caller.workspace


def _actor(caller: Principal | None) -> str:
    assert caller is not None
    return audit.actor_of(caller)


def _address(text: str, field: str) -> Address:
    try:
        return sending_ips.normal(text)
    except AddressRefused as error:
        raise invalid(field, f"{error}.") from None


def _answer(found: list[SendingIp], status: int = 200) -> web.Response:
    told = api.SendingIpsAnswer(
        [
            api.SendingIp(
                ip=str(one.ip),
                created_at=stamp(one.created_at),
                checked_at=None if one.checked_at is None else stamp(one.checked_at),
                listed_in=one.listed_in,
            )
            for one in found
        ]
    )
    return json(told, status)


_new = msgspec.json.Decoder(api.NewSendingIps)
