"""Settings of gateway."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from postmeter.gateway.rate_limits import RateLimits
from postmeter.shared.errors import SettingsError
from postmeter.shared.secret import Secret
from postmeter.shared.setting_types import NotNegative, Port, Positive, RedisUrl
from postmeter.shared.settings import InternalSettings, PostgresSettings, PublicSettings, Settings, TraceSettings


@dataclass(frozen=True, kw_only=True)
class GatewaySettings(Settings, PublicSettings, PostgresSettings, InternalSettings, TraceSettings):
    """port: the public one. tracking_url, query_url: where the services are. key_pepper: see api_keys.digest.

    token_keys: tracking-service's own (see KeyRing.parse), so that a genuine click still arrives while that
    service is down; without them such a click gets a page that tries again. service_requests: API requests
    in flight to one service; hits: the same for tracking URLs. redis_url: where requests are counted;
    rate_limits: how many each workspace has (see rate_limits.py).
    """

    port: Port = 8080
    tracking_url: str
    query_url: str
    key_pepper: Secret
    token_keys: Secret | None = None
    max_connections: Positive = 4096
    client_connections: NotNegative = 1024
    service_requests: Positive = 128
    hits: Positive = 256
    redis_url: RedisUrl
    rate_limits: RateLimits = ""

    def __post_init__(self) -> None:
        for name in ("tracking_url", "query_url"):
            if not _is_base(getattr(self, name)):
                raise SettingsError(f"POSTMETER_{name.upper()} takes http://host:port")


def _is_base(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return (
            parts.scheme == "http"
            and bool(parts.hostname)
            and parts.port != 0
            and not (parts.path.strip("/") + parts.query)
        )
    except ValueError:
        return False
