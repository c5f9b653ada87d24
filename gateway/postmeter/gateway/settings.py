"""Settings of gateway."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from postmeter.shared.errors import SettingsError
from postmeter.shared.secret import Secret
from postmeter.shared.settings import InternalSettings, PostgresSettings, Settings


@dataclass(frozen=True, kw_only=True)
class GatewaySettings(Settings, PostgresSettings, InternalSettings):
    """port: the public one. tracking_url, query_url: where the services are. key_pepper: see api_keys.digest.

    token_keys: tracking-service's own (see KeyRing.parse), so that a genuine click still arrives while that
    service is down; without them such a click gets a page that tries again. trusted_hops: proxies in front
    whose X-Forwarded-For is passed on. max_connections: of clients, at once. service_requests: API requests
    in flight to one service; hits: the same for tracking URLs.
    """

    port: int = 8080
    tracking_url: str
    query_url: str
    key_pepper: Secret
    token_keys: Secret | None = None
    trusted_hops: int = 0
    max_connections: int = 4096
    service_requests: int = 64
    hits: int = 256

    def __post_init__(self) -> None:
        for name in ("tracking_url", "query_url"):
            parts = urlsplit(getattr(self, name))
            if parts.scheme != "http" or not parts.hostname or parts.path.strip("/") or parts.query:
                raise SettingsError(f"POSTMETER_{name.upper()} takes http://host:port")
        for name in ("max_connections", "service_requests", "hits"):
            if getattr(self, name) <= 0:
                raise SettingsError(f"POSTMETER_{name.upper()} must be above 0")
        if self.trusted_hops < 0:
            raise SettingsError("POSTMETER_TRUSTED_HOPS must not be negative")
