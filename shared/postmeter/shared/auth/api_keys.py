"""API keys: shown once, stored only as an HMAC."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets

from postmeter.shared.auth.secret import Secret

ROLES = ("super_admin", "admin", "member", "domain_admin")
SCOPES = ("analytics", "track", "mail:read", "access", "privacy")
"""access: users and keys, that is who may sign in. privacy: levels, consent, erasure, audit."""
_KEY = re.compile(r"pm_([0-9a-f]{16})_[A-Za-z0-9_-]{43}", re.ASCII)


def new() -> tuple[str, str]:
    """(id, key): the id names the key in lists and in `revoke`; the key is to be shown once."""
    key_id = secrets.token_hex(8)
    return key_id, of(key_id, secrets.token_bytes(32))


def of(key_id: str, secret: bytes) -> str:
    """The key of that id, 16 hexadecimal digits, and of 32 bytes that nobody can guess."""
    return f"pm_{key_id}_{base64.urlsafe_b64encode(secret).rstrip(b'=').decode()}"


def id_of(key: str) -> str | None:
    """The id inside a key, or None for what is not a key of ours."""
    match = _KEY.fullmatch(key)
    return match.group(1) if match else None


def digest(key: str, pepper: Secret) -> bytes:
    """What is stored of a key: HMAC-SHA256 under POSTMETER_KEY_PEPPER."""
    return hmac.new(pepper.reveal().encode(), key.encode(), hashlib.sha256).digest()
