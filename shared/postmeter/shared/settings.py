"""Settings: frozen dataclasses filled from the environment.

Each field `postgres_dsn` is read from `POSTMETER_POSTGRES_DSN`. A service declares only what it needs,
by a frozen keyword-only dataclass that inherits those below. Errors name the variable; secrets have no repr.
"""

from __future__ import annotations

import os
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeVar

import msgspec

from postmeter.shared.errors import SettingsError
from postmeter.shared.secret import Secret

PREFIX = "POSTMETER_"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every service has.

    host: address that all its ports listen on. ops_port: /metrics, /healthz, /readyz.
    log_format: `json`, `console`, or `auto` (console on a terminal). stop_timeout: seconds given to
    requests in flight after SIGTERM.
    """

    host: str = "127.0.0.1"
    ops_port: int = 0
    log_format: str = "auto"
    log_level: str = "info"
    stop_timeout: float = 10.0


@dataclass(frozen=True, kw_only=True)
class PostgresSettings:
    """postgres_dsn: Postgres 15 or newer. postgres_pool: connections at most."""

    postgres_dsn: Secret
    postgres_pool: int = 8


@dataclass(frozen=True, kw_only=True)
class RedisSettings:
    """redis_url: Redis 7 or Valkey 8, or newer. shards: streams that hits spread over (see streams.py)."""

    redis_url: Secret
    shards: int = 4


@dataclass(frozen=True, kw_only=True)
class InternalSettings:
    """internal_secret: signs the principal that the gateway passes on (see principal.py)."""

    internal_secret: Secret


S = TypeVar("S")


def _decode(kind: type[Any], value: object) -> Any:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise NotImplementedError(kind)


def load(struct: type[S], environ: Mapping[str, str] | None = None) -> S:
    """Read `struct` from the environment.

    Raises SettingsError that names the variable, what it takes and, unless it is a secret, what it had.
    """
    environ = os.environ if environ is None else environ
    given: dict[str, Any] = {}
    types = typing.get_type_hints(struct)
    for field in fields(struct):  # type: ignore[arg-type]
        name = PREFIX + field.name.upper()
        if environ.get(name):
            try:
                given[field.name] = msgspec.convert(environ[name], types[field.name], strict=False, dec_hook=_decode)
            except msgspec.ValidationError as error:
                raise SettingsError(f"{name}: {error}") from None
        elif field.default is MISSING:
            raise SettingsError(f"{name} is not set; see the README's table of settings")
    return struct(**given)
