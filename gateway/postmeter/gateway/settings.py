"""Settings of gateway."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from postmeter.gateway.limits.rate_limits import RateLimits
from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import SettingsError
from postmeter.shared.privacy.recipients import RecipientSettings
from postmeter.shared.process.setting_types import NotNegative, Port, Positive, RedisUrl, is_base
from postmeter.shared.process.settings import (
    AnsweringSettings,
    InternalSettings,
    PostgresSettings,
    PublicSettings,
    TraceSettings,
)


@dataclass(frozen=True, kw_only=True)
class GatewaySettings(
    AnsweringSettings, PublicSettings, PostgresSettings, InternalSettings, RecipientSettings, TraceSettings
):
    """port: the public one. tracking_url, query_url: where the services are. key_pepper: see api_keys.digest.

    token_keys: tracking-service's own (see KeyRing.parse), so that a genuine click still arrives while that
    service is down; without them such a click gets a page that tries again. service_requests: API requests
    in flight to one service; hits: the same for tracking URLs. redis_url: where requests are counted;
    rate_limits: how many each workspace has (see rate_limits.py). public_gateway_url: this gateway as people know it;
    with https, a session's cookie is for https only. oidc_issuer, oidc_client_id, oidc_client_secret: the OpenID
    provider at which people may sign in; oidc_label: what they call it.
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
    public_gateway_url: str = ""
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: Secret | None = None
    oidc_label: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("tracking_url", "query_url"):
            if not is_base(getattr(self, name), "http"):
                raise SettingsError(f"POSTMETER_{name.upper()} takes http://host:port")
        if self.public_gateway_url and not is_base(self.public_gateway_url, "http", "https"):
            raise SettingsError("POSTMETER_PUBLIC_GATEWAY_URL takes a plain base URL, such as https://api.example.com")
        if self.oidc_issuer and not is_endpoint(self.oidc_issuer):
            raise SettingsError("POSTMETER_OIDC_ISSUER takes an https URL, such as https://accounts.example.com")
        if self.oidc_issuer and not (self.oidc_client_id and self.public_gateway_url):
            raise SettingsError("POSTMETER_OIDC_ISSUER needs POSTMETER_OIDC_CLIENT_ID and POSTMETER_PUBLIC_GATEWAY_URL")


_HERE = ("localhost", "127.0.0.1", "::1")


def is_endpoint(url: str, issuer: str | None = None) -> bool:
    """Whether tokens may be sent there: by https, or on this machine.

    issuer: whose endpoint it is to be. One that is elsewhere names none on this machine: it would have us ask what
    listens here.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if not (url.isascii() and url.isprintable()) or " " in url:  # urlsplit overlooks line ends
        return False
    if host in _HERE:
        return parts.scheme in ("http", "https") and (issuer is None or urlsplit(issuer).hostname in _HERE)
    return host != "" and parts.scheme == "https"
