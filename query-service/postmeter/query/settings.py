"""Settings of query-service."""

from __future__ import annotations

from dataclasses import dataclass

from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import SettingsError
from postmeter.shared.privacy.recipients import RecipientSettings
from postmeter.shared.process.setting_types import Bytes, NotNegativeBytes, Port, Seconds, is_base
from postmeter.shared.process.settings import (
    AnsweringSettings,
    InternalSettings,
    PostgresSettings,
    RedisSettings,
    TraceSettings,
)


@dataclass(frozen=True, kw_only=True)
class QuerySettings(
    AnsweringSettings, PostgresSettings, RedisSettings, InternalSettings, RecipientSettings, TraceSettings
):
    """port: where the gateway reaches it. statement_timeout: seconds a query may take, less than the gateway waits.
    answer_cache: bytes of answers that each process keeps until they are others (ADR 0046), and of what days count that
    do not change (ADR 0067); 0: none.

    public_gateway_url: the gateway as its callers know it; download links begin with it. export_dir: local folder
    where exports are made and, without a bucket, kept; all replicas share it then. export_lifetime: seconds that a
    finished export can be downloaded. export_lease: seconds after which an export whose worker gives no sign of
    life is taken over. export_file_bytes, export_workspace_bytes: of one export, and of all that a workspace has.
    export_free_bytes: what stays free on the disk of export_dir. export_seconds: of one attempt at an export.
    export_bucket: `s3://bucket/prefix` to keep exports in; export_endpoint, export_region, export_key_id,
    export_key_secret: how to reach it, else what the environment says.
    """

    port: Port = 8082
    statement_timeout: Seconds = 8.0
    answer_cache: NotNegativeBytes = 64 << 20
    public_gateway_url: str
    export_dir: str
    export_lifetime: Seconds = 3600.0
    export_lease: Seconds = 15.0
    export_file_bytes: Bytes = 2 << 30
    export_workspace_bytes: Bytes = 10 << 30
    export_free_bytes: Bytes = 1 << 30
    export_seconds: Seconds = 1800.0
    export_bucket: str = ""
    export_endpoint: str = ""
    export_region: str = ""
    export_key_id: str = ""
    export_key_secret: Secret | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_base(self.public_gateway_url, "http", "https", path=True) or not self.public_gateway_url.isascii():
            raise SettingsError("POSTMETER_PUBLIC_GATEWAY_URL takes a plain base URL, such as https://api.example.com")
        if self.export_endpoint and not is_base(self.export_endpoint, "http", "https", path=True):
            raise SettingsError("POSTMETER_EXPORT_ENDPOINT takes http(s)://host:port of an S3-compatible server")
        if self.export_bucket and not is_base(self.export_bucket, "s3", path=True):
            raise SettingsError("POSTMETER_EXPORT_BUCKET takes s3://bucket or s3://bucket/prefix")
        if bool(self.export_key_id) != bool(self.export_key_secret):
            raise SettingsError("POSTMETER_EXPORT_KEY_ID and POSTMETER_EXPORT_KEY_SECRET take both or none")

    @property
    def gateway_base(self) -> str:
        """public_gateway_url without a slash at its end."""
        return self.public_gateway_url.rstrip("/")
