"""Mailgun's webhooks of before 2018, as old domains still send them: one form per event, its fields lying flat.

https://documentation.mailgun.com/docs/mailgun/user-manual/events/webhooks
Each becomes the JSON that newer webhooks send, so that one reading serves both. Fields that are not Mailgun's own are
the sender's variables.
"""

from __future__ import annotations

import re

import msgspec
from yarl import query_to_pairs

from postmeter.tracking.webhooks import items
from postmeter.tracking.webhooks.provider import Delivery

MAX_FIELDS = 1_000
_URLENCODED = "application/x-www-form-urlencoded"
_BOUNDARY = re.compile(r'multipart/form-data\s*;.{0,100}?boundary="?([^";\s]{1,70})', re.ASCII | re.IGNORECASE)
_NAME = re.compile(rb'[;\s]name="([^"]{1,200})"')
_HEAD_BYTES = 1_000
_STATUS = {"code": "code", "error": "message", "description": "description"}
_DATA = ("event", "timestamp", "recipient", "reason", "url", "ip")
_MESSAGE_ID = ("message-id", "x-mailgun-message-id")
_TAGS = ("tag", "x-mailgun-tag", "x-mailgun-tag[]")
_OTHERS = frozenset(
    {"token", "signature", "domain", "user-agent", "campaign-id", "campaign-name", "message-headers", "notification"}
)


def fields_of(delivery: Delivery) -> list[tuple[str, str]] | None:
    """The fields of a form; None for a body that is not one, or larger than an event."""
    kind, body = delivery.headers.get("Content-Type", ""), delivery.body
    if len(body) > items.ITEM_BYTES:
        return None
    if kind.partition(";")[0].strip().lower() == _URLENCODED:
        try:
            return query_to_pairs(body.decode("utf-8", "replace"), max_fields=MAX_FIELDS)
        except ValueError:  # too many fields
            return None
    boundary = _BOUNDARY.match(kind.strip()[:300])
    return _parts(body, boundary.group(1).encode("ascii", "replace")) if boundary else None


def _parts(body: bytes, boundary: bytes) -> list[tuple[str, str]]:
    """The texts of a multipart form; files, such as the mail that bounced, are passed over."""
    found = []
    for part in body.split(b"--" + boundary, MAX_FIELDS)[1:]:
        head, _, content = part.partition(b"\r\n\r\n")
        named = _NAME.search(head[:_HEAD_BYTES])
        if named and b"filename=" not in head[:_HEAD_BYTES]:
            text = content.removesuffix(b"\r\n").decode("utf-8", "replace")
            found.append((named.group(1).decode("utf-8", "replace"), text))
    return found


def item_of(fields: list[tuple[str, str]]) -> bytes:
    """The event as newer webhooks tell it. Its token and signature are left out: an event that is sent again is the
    same one.
    """
    lower = {name.lower(): value for name, value in reversed(fields)}
    message_id = next((lower[name] for name in _MESSAGE_ID if name in lower), "")
    ours = {*_DATA, *_STATUS, *_MESSAGE_ID, *_TAGS, *_OTHERS}
    data: dict[str, object] = {name: lower[name] for name in _DATA if name in lower}
    data |= {
        "message": {"headers": {"message-id": message_id} | _headers(lower.get("message-headers", ""))},
        "delivery-status": {name: lower[given] for given, name in _STATUS.items() if given in lower},
        "client-info": {"user-agent": lower.get("user-agent", "")},
        "campaigns": [{"id": lower.get("campaign-id", "")}],
        "tags": [value for name, value in fields if name.lower() in _TAGS],
        "user-variables": {name: value for name, value in fields if name.lower() not in ours},
    }
    return msgspec.json.encode({"event-data": data})


def _headers(text: str) -> dict[str, str]:
    """What is read of the mail's headers, a JSON list of names and values."""
    try:
        pairs = msgspec.json.decode(text or "[]", type=list[tuple[str, str]])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
    return {name.lower(): value for name, value in pairs if name.lower() in ("from", "to", "subject", "message-id")}
