"""The four services as local mode runs them: their order, their ports, their environment."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from postmeter.cli.local.ports import HOST, HeldPorts
from postmeter.cli.local.processes.process import Process, spawn
from postmeter.cli.local.vault import Vault

# Started in this order, so that a service finds what it calls; stopped as STOP_ORDER says: who accepts
# work goes first, who counts it after.
START_ORDER = ("query", "tracking", "aggregator", "gateway")
STOP_ORDER = ("gateway", "tracking", "aggregator", "query")


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything listens. ops: by service."""

    gateway: int
    tracking: int
    query: int
    ops: dict[str, int]


def choose_ports(held: HeldPorts, gateway: int, tracking: int) -> Ports:
    """Hold the public ports, and free ones for what only we call. Raises PortTakenError."""
    return Ports(
        gateway=held.claim(gateway, "--port"),
        tracking=held.claim(tracking, "--tracking-port"),
        query=held.free(),
        ops={service: held.free() for service in START_ORDER},
    )


def url(port: int) -> str:
    """The base URL of a port on this machine."""
    return f"http://{HOST}:{port}"


def gateway_url(ports: Ports) -> str:
    """The gateway's base URL as the outside knows it: behind a proxy the user gives it."""
    return os.environ.get("POSTMETER_PUBLIC_GATEWAY_URL") or url(ports.gateway)


def environment(
    service: str,
    *,
    ports: Ports,
    data: Path,
    vault: Vault,
    postgres_dsn: str,
    redis_url: str,
    more: Mapping[str, str],
) -> Mapping[str, str]:
    """Return a service's whole environment: ours and `more`, with its settings on top.

    A service gets no secret and no store that it does not use.
    """
    own = {"HOST": HOST, "OPS_PORT": str(ports.ops[service])}
    postgres = {"POSTGRES_DSN": postgres_dsn}
    redis = {"REDIS_URL": redis_url}
    internal = {"INTERNAL_SECRET": vault.internal_secret.reveal()}
    match service:
        case "tracking":
            own |= postgres | redis | internal
            own |= {"PORT": str(ports.tracking), "SPOOL_DIR": str(data / "spool")}
            own |= {"TOKEN_KEYS": vault.token_keys.reveal(), "SOURCE_KEY": vault.source_key.reveal()}
            own |= {"PUBLIC_GATEWAY_URL": gateway_url(ports)}
            # Behind a proxy the outside name differs from ours: a value given by the user stays.
            own |= {"PUBLIC_URL": os.environ.get("POSTMETER_PUBLIC_URL") or url(ports.tracking)}
        case "query":
            own |= postgres | redis | internal
            own |= {"PORT": str(ports.query), "EXPORT_DIR": str(data / "exports")}
            # Links to downloads; as with tracking's, an outside name given by the user stays.
            own |= {"PUBLIC_GATEWAY_URL": gateway_url(ports)}
        case "aggregator":
            own |= postgres | redis
        case "gateway":
            own |= postgres | redis | internal
            # With the key ring it can redirect a genuine click while tracking-service is down.
            own |= {"TOKEN_KEYS": vault.token_keys.reveal()}
            own |= {"PORT": str(ports.gateway), "KEY_PEPPER": vault.key_pepper.reveal()}
            own |= {"TRACKING_URL": url(ports.tracking), "QUERY_URL": url(ports.query)}
            own |= {"PUBLIC_GATEWAY_URL": gateway_url(ports)}
        case _:
            raise ValueError(service)
    return {**os.environ, **more, **{f"POSTMETER_{name}": value for name, value in own.items()}}


def starter(service: str, environ: Mapping[str, str]) -> Callable[[], Process]:
    """Return what starts the service; its logs go where ours go."""
    command = [sys.executable, "-m", "postmeter.cli.main", "run", service]
    return lambda: spawn(service, command, environ=environ)
