"""Tracking tokens: who was mailed, signed, without a look-up.

Layout (36 bytes, so that the base64url text of 48 characters is canonical and needs no padding):

    version 1 | key id 1 | purpose and flags 1 | workspace number 4 | message UUID 16 | MAC 13

The purpose is the low nibble of the third byte (1 open, 2 click, 3 unsubscribe, 4 honeypot, 5 preferences), so tokens
of different purposes are not interchangeable; the high nibble is the level of tracking that holds
(postmeter.shared.privacy.levels; 0: full). At ANONYMOUS the UUID is an anonymous source's. The MAC is BLAKE2b keyed
with the key that the key id names. A click's and a honeypot's MAC also covers the destination's UTF-8 bytes, so the
redirect is not an open redirect.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct

from postmeter.shared.auth import fingerprints
from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import SettingsError, TokenRejected
from postmeter.shared.storage.postgres import Pool

VERSION = 1
OPEN = 1
CLICK = 2
UNSUBSCRIBE = 3
HONEYPOT = 4
PREFERENCES = 5
LINKS = (CLICK, HONEYPOT)
"""What CLICK_PATH takes: either leads to the destination that it is signed for."""
WITHOUT_URL = (OPEN, UNSUBSCRIBE, PREFERENCES)
"""The purposes whose tokens cover nothing but the message."""
PURPOSE_BITS = 4
HEADER_BYTES = 23
MAC_BYTES = 13
TOKEN_CHARS = 48
_HEAD = struct.Struct(">BBBI16s")
_TOKEN = struct.Struct(f">BBBI16s{MAC_BYTES}s")
# base64url to base64; what only base64 has, and padding, becomes a character that neither has.
_ALPHABET = bytes.maketrans(b"-_+/=", b"+/\0\0\0")


class KeyRing:
    """The signing keys. The first one signs; all of them verify, so rotation breaks no old link."""

    def __init__(self, keys: dict[int, bytes]) -> None:
        if not keys:
            raise SettingsError("POSTMETER_TOKEN_KEYS holds no key; it takes id:base64, the signing key first")
        self._signing = next(iter(keys))
        self.signing = fingerprints.of_token_key(self._signing)
        """The name of the key that signs, and of each key its fingerprint."""
        names = {fingerprints.of_token_key(key_id): key for key_id, key in keys.items()}
        self.fingerprints = {name: fingerprints.of(name, key) for name, key in names.items()}
        self._hashers = {
            key_id: hashlib.blake2b(key=key, digest_size=MAC_BYTES, person=b"postmeter-token")
            for key_id, key in keys.items()
        }

    @classmethod
    def parse(cls, text: Secret) -> KeyRing:
        """Read `1:BASE64,0:BASE64` (key ids 0-255, 32-byte keys). Raises SettingsError."""
        keys: dict[int, bytes] = {}
        for part in text.reveal().split(","):
            key_id, _, encoded = part.strip().partition(":")
            try:
                number, key = int(key_id), base64.b64decode(encoded, validate=True)
            except ValueError:
                raise SettingsError("POSTMETER_TOKEN_KEYS takes id:base64, separated by commas") from None
            if not 0 <= number <= 255 or len(key) != 32 or number in keys:
                raise SettingsError("POSTMETER_TOKEN_KEYS: ids are 0-255 and distinct, keys are 32 bytes")
            keys[number] = key
        return cls(keys)

    def _sign(self, purpose: int, workspace: int, message: bytes, url: bytes) -> str:
        header = _HEAD.pack(VERSION, self._signing, purpose, workspace, message)
        hasher = self._hashers[self._signing].copy()
        hasher.update(header + url)
        return base64.urlsafe_b64encode(header + hasher.digest()).decode()

    def sign_open(self, workspace: int, message: bytes, level: int = 0) -> str:
        """The token of a message's pixel; `message` is its UUID's 16 bytes."""
        return self._sign(OPEN | level << PURPOSE_BITS, workspace, message, b"")

    def sign_unsubscribe(self, workspace: int, message: bytes) -> str:
        """The token of a message's one-click unsubscribe."""
        return self._sign(UNSUBSCRIBE, workspace, message, b"")

    def sign_preferences(self, workspace: int, message: bytes) -> str:
        """The token of the page where a message's recipient chooses what may be recorded."""
        return self._sign(PREFERENCES, workspace, message, b"")

    def sign_click(self, workspace: int, message: bytes, url: str, level: int = 0) -> str:
        """The token of one link; `url` is the destination exactly as it will be decoded from the query."""
        return self._sign(CLICK | level << PURPOSE_BITS, workspace, message, url.encode())

    def sign_honeypot(self, workspace: int, message: bytes, url: str, level: int = 0) -> str:
        """The token of the link that no person sees; `url` as of `sign_click`."""
        return self._sign(HONEYPOT | level << PURPOSE_BITS, workspace, message, url.encode())

    def verify(self, token: bytes, purpose: int, url: bytes = b"") -> tuple[int, bytes]:
        """(workspace number, message's 16 bytes) of a genuine token of one purpose. Raises as `verify_one_of`."""
        _, workspace, message, _ = self.verify_one_of((purpose,), token, url)
        return workspace, message

    def verify_one_of(self, purposes: tuple[int, ...], token: bytes, url: bytes = b"") -> tuple[int, int, bytes, int]:
        """(purpose, workspace number, message's 16 bytes, level) of a genuine token; constant-time in the MAC.

        Raises TokenRejected with one of: malformed, version, purpose, unknown_key, signature.
        """
        if len(token) != TOKEN_CHARS:
            raise TokenRejected("malformed")
        try:
            raw = binascii.a2b_base64(token.translate(_ALPHABET), strict_mode=True)
        except binascii.Error:
            raise TokenRejected("malformed") from None
        version, key_id, purpose_and_flags, workspace, message, mac = _TOKEN.unpack(raw)
        if version != VERSION:
            raise TokenRejected("version")
        purpose = purpose_and_flags & 0x0F
        if purpose not in purposes:
            raise TokenRejected("purpose")
        known = self._hashers.get(key_id)
        if known is None:
            raise TokenRejected("unknown_key")
        hasher = known.copy()
        hasher.update(raw[:HEADER_BYTES] + url)
        if not hmac.compare_digest(hasher.digest(), mac):
            raise TokenRejected("signature")
        return purpose, workspace, message, purpose_and_flags >> PURPOSE_BITS


def workspace_of(token: bytes) -> int:
    """The number of the workspace that a token names, genuine or not; 0 for what is not a token. Proves nothing."""
    try:
        raw = binascii.a2b_base64(token.translate(_ALPHABET), strict_mode=True)
        workspace: int = _TOKEN.unpack(raw)[3]
    except (binascii.Error, struct.error):
        return 0
    return workspace


_KEYS = fingerprints.of_token_key(0).removesuffix("0")


async def verifiable(pool: Pool, ring: KeyRing, *, signs: bool) -> str | None:
    """Which keys that have signed links the ring lacks: a look for Advice. signs: its first key does, from now on."""
    if signs:
        await fingerprints.keep(pool, ring.signing, ring.fingerprints[ring.signing])
    lost = [
        f"{one.name} ({fingerprints.shown(one.value)}, since {one.since:%Y-%m-%d})"
        for one in (await fingerprints.kept(pool)).values()
        if one.name.startswith(_KEYS) and ring.fingerprints.get(one.name) != one.value
    ]
    if not lost:
        return None
    return (
        f"POSTMETER_TOKEN_KEYS lacks keys that have signed links, or has others under their ids: {', '.join(lost)}."
        " Links of these lead nowhere. Put each back, behind the first key; where none of its links is to work any"
        f" more: `postmeter secret forget {lost[0].partition(' ')[0]}`"
    )
