"""Sending IPs: endpoints to look at, add and remove those that are looked up in blocklists."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import msgspec
from msgspec import Struct

from postmeter.shared.apis.endpoint import Limit, Service, Timestamp, described, native

PATH = "/v1/sending-ips"
ONE_PATH = "/v1/sending-ips/{ip}"
ADMINS = ("super_admin", "admin")
_READERS = (*ADMINS, "member")
_AT_ONCE = 100


class NewSendingIps(Struct, forbid_unknown_fields=True):
    """Body of POST /v1/sending-ips; those that are there already stay as they are."""

    ips: Annotated[
        list[str],
        msgspec.Meta(min_length=1, max_length=_AT_ONCE),
        described("Public IPv4 or IPv6 addresses, as receiving servers see them."),
    ]


class SendingIp(Struct):
    """An IP. checked_at: when a blocklist last answered; null: not yet. listed_in: the blocklists that have it."""

    ip: str
    created_at: Timestamp
    checked_at: Timestamp | None
    listed_in: list[str]


class RemovedIp(Struct):
    """An IP that is not looked up any more."""

    ip: str


class SendingIpsAnswer(Struct):
    """GET /v1/sending-ips: all, in their order. POST: those that were given."""

    data: list[SendingIp]


class RemovedIpAnswer(Struct):
    """DELETE /v1/sending-ips/{ip}."""

    data: RemovedIp


_endpoint = partial(native, service=Service.GATEWAY, scope="track", roles=ADMINS, limit=Limit.WRITE)


ENDPOINTS = (
    _endpoint(
        "GET",
        PATH,
        "IPs that the workspace sends from, and the blocklists that list them",
        SendingIpsAnswer,
        scope="analytics",
        roles=_READERS,
        limit=Limit.READ,
    ),
    _endpoint(
        "POST",
        PATH,
        "Add IPs that the workspace sends from; they are looked up within a minute",
        SendingIpsAnswer,
        max_body=64 * 1024,
        body=NewSendingIps,
        status=201,
        failures=(409,),
    ),
    _endpoint("DELETE", ONE_PATH, "Remove an IP: its listings no longer count", RemovedIpAnswer),
)
