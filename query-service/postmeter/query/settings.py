"""Settings of query-service."""

from __future__ import annotations

from dataclasses import dataclass

from postmeter.shared.setting_types import Port, Seconds
from postmeter.shared.settings import InternalSettings, PostgresSettings, RedisSettings, Settings


@dataclass(frozen=True, kw_only=True)
class QuerySettings(Settings, PostgresSettings, RedisSettings, InternalSettings):
    """port: where the gateway reaches it. statement_timeout: seconds a query may take, less than the gateway waits."""

    port: Port = 8082
    statement_timeout: Seconds = 8.0
