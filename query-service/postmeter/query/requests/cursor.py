"""Cursors: where a page ended, signed, and bound to the tenant and the query it came from (hostile-input.md 32)."""

from __future__ import annotations

import base64
import hashlib
import hmac

import msgspec

from postmeter.query.engine.query import Scope
from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import RequestError


class Position(msgspec.Struct, frozen=True, array_like=True):
    """The range of the first page in seconds since 1970, and the sort key of the last row given out."""

    start: int
    end: int
    last: list[int | str]


class Cursors:
    """Writes and reads cursors. They stay good as long as the internal secret does."""

    def __init__(self, secret: Secret) -> None:
        self._key = hashlib.blake2b(secret.reveal().encode(), digest_size=32, person=b"postmeter-cursor").digest()

    def write(self, position: Position, scope: Scope, query: bytes) -> str:
        """The cursor's text. query: the caller's query as bytes, without cursor and limit."""
        body = msgspec.json.encode(position)
        return base64.urlsafe_b64encode(self._sign(body, scope, query) + body).decode().rstrip("=")

    def read(self, text: str, scope: Scope, query: bytes) -> Position:
        """The position inside. Raises RequestError 400 for what is not a cursor, or one of another tenant or query."""
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            mac, body = raw[:16], raw[16:]
            position = msgspec.json.decode(body, type=Position)
        except (ValueError, RecursionError):
            raise _invalid("This is not a cursor: send an answer's next_cursor as it is.") from None
        if not hmac.compare_digest(mac, self._sign(body, scope, query)):
            raise _invalid("The cursor belongs to another query: repeat the query that gave it.")
        return position

    def _sign(self, body: bytes, scope: Scope, query: bytes) -> bytes:
        hasher = hashlib.blake2b(key=self._key, digest_size=16)
        for part in (msgspec.json.encode([scope.workspace, scope.domains]), query, body):
            hasher.update(len(part).to_bytes(8, "big") + part)
        return hasher.digest()


def _invalid(message: str) -> RequestError:
    return RequestError(400, "INVALID_CURSOR", message, "cursor")
