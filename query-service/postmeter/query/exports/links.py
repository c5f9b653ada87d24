"""Download links: signed, and good until the export expires.

The signature covers workspace, export and expiry, so that a link opens one file and cannot be made to last. Who
has it needs no key; the base is configured, so that a forged Host header never ends up in one (hostile-input.md 23).
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from urllib.parse import quote, urlencode

from postmeter.shared.apis.exports import DOWNLOAD_PATH
from postmeter.shared.auth.secret import Secret


class Links:
    """Signs and checks links. base: the gateway as its callers know it, without a slash at the end."""

    def __init__(self, secret: Secret, base: str) -> None:
        self._key = hashlib.blake2b(secret.reveal().encode(), digest_size=32, person=b"postmeter-export").digest()
        self._base = base

    def link(self, workspace_id: str, export_id: str, expires_at: datetime) -> str:
        """The absolute URL of an export's file."""
        expires = str(int(expires_at.timestamp()))
        path = DOWNLOAD_PATH.format(workspaceId=quote(workspace_id, safe=""), exportId=quote(export_id, safe=""))
        query = {"expires": expires, "signature": self._sign(workspace_id, export_id, expires)}
        return f"{self._base}{path}?{urlencode(query)}"

    def genuine(self, workspace_id: str, export_id: str, expires: str, signature: str) -> bool:
        """Whether we signed this; it may have expired."""
        expected = self._sign(workspace_id, export_id, expires)
        return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogatepass"))

    def _sign(self, *parts: str) -> str:
        mac = hmac.new(self._key, digestmod=hashlib.sha256)
        for part in parts:
            text = part.encode("utf-8", "surrogatepass")
            mac.update(len(text).to_bytes(8, "big") + text)
        return mac.hexdigest()
