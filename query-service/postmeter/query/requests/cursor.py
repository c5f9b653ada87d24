"""Cursors: where a page ended, sealed, and bound to the tenant and the query it came from (hostile-input.md 32)."""

from __future__ import annotations

import base64
import hashlib

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from postmeter.query.engine.query import Scope
from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import RequestError


class Position(msgspec.Struct, frozen=True, array_like=True):
    """The range of the first page in seconds since 1970, and the sort key of the last row given out."""

    start: int
    end: int
    last: list[int | str]


class Cursors:
    """Writes and reads cursors. They stay good as long as the internal secret does.

    They are encrypted (AES-SIV, RFC 5297: the same position gives the same text): the place where a page of a search
    ends may be a message of a domain that the caller does not see.
    """

    def __init__(self, secret: Secret) -> None:
        key = hashlib.blake2b(secret.reveal().encode(), digest_size=64, person=b"postmeter-cursor").digest()
        self._cipher = AESSIV(key)

    def write(self, position: Position, scope: Scope, query: bytes) -> str:
        """The cursor's text. query: the caller's query as bytes, without cursor and limit."""
        sealed = self._cipher.encrypt(msgspec.json.encode(position), _bound(scope, query))
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def read(self, text: str, scope: Scope, query: bytes) -> Position:
        """The position inside. Raises RequestError 400 for what is not a cursor, or one of another tenant or query."""
        try:
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            body = self._cipher.decrypt(sealed, _bound(scope, query))
        except (ValueError, InvalidTag):
            raise _invalid() from None
        return msgspec.json.decode(body, type=Position)


def _bound(scope: Scope, query: bytes) -> list[bytes]:
    return [msgspec.json.encode([scope.workspace, scope.domains]), query]


def _invalid() -> RequestError:
    message = "This is not a cursor of this query: send an answer's next_cursor as it is, with the query that gave it."
    return RequestError(400, "INVALID_CURSOR", message, "cursor")
