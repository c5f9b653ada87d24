"""Download links: signed, and good until the export expires, or the key or user that asked for them is no more.

The signature covers workspace, export, expiry and who asked, so that a link opens one file and cannot be made to last.
Who has it needs no key; the base is configured, so that a forged Host header never ends up in one (hostile-input.md
23).
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from urllib.parse import quote, urlencode

from postmeter.shared.apis.documents.exports import DOWNLOAD_PATH
from postmeter.shared.auth.secret import Secret


class Links:
    """Signs and checks links. base: the gateway as its callers know it, without a slash at the end."""

    def __init__(self, secret: Secret, base: str) -> None:
        self._key = hashlib.blake2b(secret.reveal().encode(), digest_size=32, person=b"postmeter-export").digest()
        self._base = base

    def link(self, workspace_id: str, export_id: str, by: str, expires_at: datetime) -> str:
        """The absolute URL of an export's file. by: the id of the key or user that asks for it, as of a principal."""
        expires = str(int(expires_at.timestamp()))
        path = DOWNLOAD_PATH.format(workspaceId=quote(workspace_id, safe=""), exportId=quote(export_id, safe=""))
        query = {"by": by, "expires": expires, "signature": self._sign(workspace_id, export_id, by, expires)}
        return f"{self._base}{path}?{urlencode(query)}"

    def genuine(self, workspace_id: str, export_id: str, by: str, expires: str, signature: str) -> bool:
        """Whether we signed this; it may have expired."""
        expected = self._sign(workspace_id, export_id, by, expires)
        return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogatepass"))

    def _sign(self, *parts: str) -> str:
        mac = hmac.new(self._key, digestmod=hashlib.sha256)
        for part in parts:
            text = part.encode("utf-8", "surrogatepass")
            mac.update(len(text).to_bytes(8, "big") + text)
        return mac.hexdigest()
