"""What tracking-service is configured with."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import DestinationRefused, SettingsError
from postmeter.shared.links import destination
from postmeter.shared.privacy.recipients import RecipientSettings
from postmeter.shared.process.nameservers import NameserversSetting
from postmeter.shared.process.setting_types import (
    Bytes,
    NotNegative,
    NotNegativeBytes,
    Port,
    Positive,
    PostgresDsn,
    Seconds,
)
from postmeter.shared.process.settings import AnsweringSettings, AppendSettings, InternalSettings, PublicSettings


@dataclass(frozen=True, kw_only=True)
class TrackingSettings(AnsweringSettings, PublicSettings, AppendSettings, InternalSettings, RecipientSettings):
    """Read from the environment (postmeter.shared.process.settings).

    port: tracking URLs and writes. reuse_port: whether processes of one deployment share it. token_keys: see
    KeyRing.parse. public_url: base of every URL that goes into mails. spool_dir: local folder that survives
    restarts; batches wait there while Redis is away, at most spool_bytes of them. spool_reserve: bytes of those that
    are set aside on disk when the service starts. disk_low: free bytes below which /readyz warns. append_deadline:
    seconds that Redis has to acknowledge a batch. source_key: what the secrets of webhook sources are stored under;
    without it webhooks are not taken. postgres_dsn: only for /v1/sources; nothing else here needs Postgres.
    public_gateway_url: base of the webhooks' URLs as providers have them.
    mailbox_providers: file of domains and who runs their mailboxes, in place of the shipped one. mailbox_mx: whether
    other domains are looked up by their MX records. mailbox_nameservers: asked for those instead of the system's.
    """

    port: Port = 8081
    reuse_port: bool = False
    token_keys: Secret
    public_url: str
    spool_dir: str
    source_key: Secret | None = None
    postgres_dsn: PostgresDsn | None = None
    public_gateway_url: str = ""
    mailbox_providers: str = ""
    mailbox_mx: bool = False
    mailbox_nameservers: NameserversSetting = ""
    spool_bytes: Bytes = 1 << 30
    spool_reserve: NotNegativeBytes = 96 << 20
    disk_low: NotNegativeBytes = 1 << 30
    append_deadline: Seconds = 0.5
    max_connections: Positive = 10_000
    client_connections: NotNegative = 2500

    def __post_init__(self) -> None:
        super().__post_init__()
        parts = urlsplit(self.public_url)
        try:
            destination.location(self.public_url)
        except DestinationRefused as error:
            raise SettingsError(f"POSTMETER_PUBLIC_URL takes an absolute http(s) URL: {error}") from None
        if parts.query or parts.fragment or not self.public_url.isascii() or '"' in self.public_url:
            raise SettingsError("POSTMETER_PUBLIC_URL takes a plain base URL, such as https://t.example.com")

    @property
    def base_url(self) -> str:
        """public_url without a slash at its end."""
        return self.public_url.rstrip("/")
