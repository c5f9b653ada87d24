"""Which recipient a request is about: `to`, an address, or `to_hash`."""

from __future__ import annotations

from msgspec import UnsetType

from postmeter.shared.http.fields import invalid
from postmeter.shared.privacy import recipients
from postmeter.shared.text import addresses


def hash_asked_for(to: str | UnsetType, to_hash: str | UnsetType) -> str:
    """The recipient's hash. Raises FieldRefused unless it is exactly one of both."""
    if isinstance(to, str) == isinstance(to_hash, str):
        raise invalid("to", "give one of to and to_hash.")
    if isinstance(to_hash, str):
        if not recipients.is_hash(to_hash.lower()):
            raise invalid("to_hash", "takes 64 hexadecimal digits, as messages show it.")
        return to_hash.lower()
    assert isinstance(to, str)
    try:
        if "\0" in to:
            raise ValueError
        return recipients.hash_of(addresses.read(to)[0])
    except (ValueError, UnicodeEncodeError):
        raise invalid("to", "not an email address.") from None
