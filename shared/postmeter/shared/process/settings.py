"""Settings: frozen dataclasses filled from the environment.

Each field `postgres_dsn` is read from `POSTMETER_POSTGRES_DSN`. A service declares only what it needs,
by a frozen keyword-only dataclass that inherits those below. Errors name the variable; secrets have no repr.
"""

from __future__ import annotations

import os
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import SettingsError
from postmeter.shared.http.clients.networks import PRIVATE, NetworksSetting
from postmeter.shared.http.ports import Clocks
from postmeter.shared.process.setting_types import (
    NotNegative,
    Pause,
    Port,
    Positive,
    PostgresDsn,
    RedisUrl,
    Replicas,
    Seconds,
    Shards,
    read,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

PREFIX = "POSTMETER_"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every service has.

    host: address that all its ports listen on. ops_port: /metrics, /healthz, /readyz.
    log_format: `json`, `console`, or `auto` (console on a terminal). header_timeout, body_timeout, idle_timeout: see
    Clocks; for all its ports.
    """

    host: str = "127.0.0.1"
    ops_port: Port = 0
    log_format: Literal["auto", "console", "json"] = "auto"
    log_level: Literal["debug", "info", "warning", "error", "critical"] = "info"
    header_timeout: Seconds = 10.0
    body_timeout: Seconds = 20.0
    idle_timeout: Seconds = 75.0

    @property
    def clocks(self) -> Clocks:
        """How long clients may take."""
        return Clocks(self.header_timeout, self.body_timeout, self.idle_timeout)


@dataclass(frozen=True, kw_only=True)
class AnsweringSettings(Settings):
    """Of a service that others ask.

    stop_timeout: seconds given to requests in flight after SIGTERM. stop_delay: seconds before that in which /readyz
    already answers 503 and connections are still taken.
    """

    stop_timeout: Pause = 10.0
    stop_delay: Pause = 0.0


@dataclass(frozen=True, kw_only=True)
class PublicSettings:
    """Of a public port. trusted_hops: proxies in front whose word on the client's address is believed.

    max_connections: of all clients, at once; client_connections: of one address (IPv6: one /64), but for those in
    unbounded_clients, and behind trusted hops, where every address is a proxy's; 0: not bounded.
    """

    trusted_hops: NotNegative = 0
    max_connections: Positive
    client_connections: NotNegative
    unbounded_clients: NetworksSetting = PRIVATE


@dataclass(frozen=True, kw_only=True)
class PostgresSettings:
    """postgres_dsn: Postgres 15 or newer. postgres_pool: connections at most."""

    postgres_dsn: PostgresDsn
    postgres_pool: Positive = 8


@dataclass(frozen=True, kw_only=True)
class RedisSettings:
    """redis_url: Redis 7 or Valkey 8, or newer."""

    redis_url: RedisUrl


@dataclass(frozen=True, kw_only=True)
class StreamSettings(RedisSettings):
    """shards: streams that records are spread over (see streams.py)."""

    shards: Shards = 4


@dataclass(frozen=True, kw_only=True)
class AppendSettings(StreamSettings):
    """wait_replicas: replicas of Redis that must have a batch before it is answered, or leaves the spool."""

    wait_replicas: Replicas = 0


@dataclass(frozen=True, kw_only=True)
class InternalSettings:
    """internal_secret: signs the principal that the gateway passes on (see principal.py)."""

    internal_secret: Secret


@dataclass(frozen=True, kw_only=True)
class TraceSettings:
    """traces: whether requests for query-service are traced (traces.py); where to, OpenTelemetry's variables say."""

    traces: bool = False


S = TypeVar("S", bound="DataclassInstance")


def load(struct: type[S], environ: Mapping[str, str] | None = None) -> S:
    """Read `struct` from the environment.

    Raises SettingsError that names every variable that is missing, or else every wrong one with what it
    takes and, unless it is a secret, what it had.
    """
    environ = os.environ if environ is None else environ
    given: dict[str, Any] = {}
    missing: list[str] = []
    wrong: list[str] = []
    types = typing.get_type_hints(struct, include_extras=True)
    for field in fields(struct):
        name = PREFIX + field.name.upper()
        if environ.get(name):
            try:
                given[field.name] = read(environ[name], types[field.name])
            except ValueError as error:
                wrong.append(f"{name} {error}")
        elif field.default is MISSING:
            missing.append(name)
    if missing:
        wrong.insert(0, f"{', '.join(sorted(missing))} {'is' if len(missing) == 1 else 'are'} not set")
    if wrong:
        raise SettingsError("; ".join(wrong) + "; see docs/operating.md")
    return struct(**given)
