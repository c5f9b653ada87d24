"""The secrets of one data directory: made once, kept in DIR/secrets.json (mode 600)."""

import base64
import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Any

import msgspec

from postmeter.cli.local.errors import DataDirectoryError
from postmeter.cli.local.folders import write_private
from postmeter.shared.auth import api_keys
from postmeter.shared.auth.secret import Secret

FILE = "secrets.json"
DEFAULT = "default"
"""The workspace that `api_key` is of."""


class Vault(msgspec.Struct, frozen=True, kw_only=True):
    """token_keys: the key ring of tracking links. internal_secret: signs principals. key_pepper: HMAC of API
    keys. postgres_password: of the local Postgres. api_key: the first key of the workspace `default`.
    """

    token_keys: Secret
    internal_secret: Secret
    key_pepper: Secret
    postgres_password: Secret
    api_key: Secret

    @property
    def source_key(self) -> Secret:
        """What the secrets of webhook sources are stored under; follows from the pepper."""
        pepper = self.key_pepper.reveal().encode()
        return Secret(base64.b64encode(hmac.new(pepper, b"webhook sources", hashlib.sha256).digest()).decode())

    def key_of(self, workspace: str) -> Secret:
        """The first API key of a workspace that local mode makes: that of `default` is kept, others follow."""
        if workspace == DEFAULT:
            return self.api_key
        pepper = self.key_pepper.reveal().encode()
        digest = hmac.new(pepper, b"first api key of " + workspace.encode(), hashlib.sha512).digest()
        return Secret(api_keys.of(digest[:8].hex(), digest[8:40]))

    def password_of(self, role: str) -> Secret:
        """The password of one of the local Postgres' roles; follows from its superuser's."""
        key = self.postgres_password.reveal().encode()
        return Secret(hmac.new(key, b"postgres role " + role.encode(), hashlib.sha256).hexdigest())


def fresh() -> Vault:
    """Return new random secrets."""
    return Vault(
        token_keys=Secret(f"1:{base64.b64encode(secrets.token_bytes(32)).decode()}"),
        internal_secret=Secret(secrets.token_urlsafe(32)),
        key_pepper=Secret(secrets.token_urlsafe(32)),
        postgres_password=Secret(secrets.token_urlsafe(24)),
        api_key=Secret(api_keys.new()[1]),
    )


def load_or_create(data: Path) -> Vault:
    """Return the directory's secrets, made on first use. The caller holds the directory's lock.

    Raises DataDirectoryError when the file is damaged: new secrets would break every link already mailed.
    """
    path = data / FILE
    if not path.exists():
        vault = fresh()
        write_private(path, msgspec.json.format(msgspec.json.encode(vault, enc_hook=_encode)))
        return vault
    return load(data)


def load(data: Path) -> Vault:
    """Return the directory's secrets. Raises DataDirectoryError when they are missing or damaged."""
    path = data / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Vault, dec_hook=_decode)
    except OSError as error:
        raise DataDirectoryError(f"cannot read {path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise DataDirectoryError(f"{path} is damaged ({error}); restore it from a backup") from None


def _encode(value: Any) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError(type(value))


def _decode(kind: type[Any], value: Any) -> Any:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise TypeError(f"expected a text for {kind.__name__}")
