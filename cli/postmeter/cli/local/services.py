"""The four services as local mode runs them: their order, their ports, their environment."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from postmeter.cli.local.ports import HOST, free_ports
from postmeter.cli.local.process import Process, spawn
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


def choose_ports(gateway: int, tracking: int) -> Ports:
    """Complete the public ports with free ones for what only we call."""
    query, *ops = free_ports(1 + len(START_ORDER))
    return Ports(gateway=gateway, tracking=tracking, query=query, ops=dict(zip(START_ORDER, ops, strict=True)))


def url(port: int) -> str:
    """The base URL of a port on this machine."""
    return f"http://{HOST}:{port}"


def environment(
    service: str, *, ports: Ports, data: Path, vault: Vault, postgres_dsn: str, redis_url: str
) -> Mapping[str, str]:
    """Return a service's whole environment: ours, with its settings on top."""
    settings = {
        "HOST": HOST,
        "OPS_PORT": str(ports.ops[service]),
        "POSTGRES_DSN": postgres_dsn,
        "REDIS_URL": redis_url,
        "INTERNAL_SECRET": vault.internal_secret.reveal(),
        **_own_settings(service, ports, data, vault),
    }
    return {**os.environ, **{f"POSTMETER_{name}": value for name, value in settings.items()}}


def _own_settings(service: str, ports: Ports, data: Path, vault: Vault) -> dict[str, str]:
    """What one service has beside the common settings; a secret goes only to who needs it."""
    match service:
        case "tracking":
            return {
                "PORT": str(ports.tracking),
                "PUBLIC_URL": url(ports.gateway),
                "SPOOL": str(data / "spool"),
                "TOKEN_KEYS": vault.token_keys.reveal(),
            }
        case "query":
            return {"PORT": str(ports.query)}
        case "gateway":
            return {
                "PORT": str(ports.gateway),
                "TRACKING_URL": url(ports.tracking),
                "QUERY_URL": url(ports.query),
                "KEY_PEPPER": vault.key_pepper.reveal(),
            }
        case _:
            return {}


def starter(service: str, environ: Mapping[str, str]) -> Callable[[], Process]:
    """Return what starts the service; its logs go where ours go."""
    command = [sys.executable, "-m", "postmeter.cli.main", "run", service]
    return lambda: spawn(service, command, environ=environ)
