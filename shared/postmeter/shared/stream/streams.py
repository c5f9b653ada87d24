"""Names of everything Postmeter keeps in Redis.

A shard is one stream. Everything that is reported of one message goes into the shard of that message, so that one
aggregator at a time counts it and sees all its repetitions (ADR 0048). Braces are Redis Cluster hash tags.
"""

from __future__ import annotations

import hashlib
import zlib

from postmeter.shared.apis.endpoint import Limit
from postmeter.shared.stream.records import Event


def stream(shard: int) -> str:
    """The stream of one shard."""
    return f"postmeter:{{{shard}}}:stream"


SLOTS = 256
"""Parts into which messages fall; each lies in one shard as a whole, however many shards there are."""


def shard_of(slot: int, shards: int) -> int:
    """The shard of a slot."""
    return slot % shards


def slot_of(workspace: int, message: bytes) -> int:
    """The slot of a message (its 16 bytes), and so of everything that is reported of it."""
    return zlib.crc32(message, workspace) % SLOTS


def slot_of_name(workspace: int, provider: str, name: str) -> int:
    """The slot of what has only a provider's name of the message, or only its recipient's hash."""
    return slot_of_key(hashlib.blake2b(f"{workspace}\0{provider}\0{name}".encode(), digest_size=8).digest())


def slot_of_key(key: bytes) -> int:
    """The slot of what belongs to no message, by a key (8 bytes of it, uniformly spread) that its repetitions share."""
    return int.from_bytes(key[:8], "big") % SLOTS


def slot_of_event(event: Event) -> int | None:
    """The slot of an event, by the first of these three that it has; None: any."""
    if event.message:
        return slot_of(event.workspace, event.message)
    if name := event.provider_message or (event.mail.to_hash if event.mail else ""):
        return slot_of_name(event.workspace, event.provider, name)
    return slot_of_key(event.key) if event.key else None


def live(workspace: int) -> str:
    """Hash of a workspace's live totals, written by the aggregator after each commit.

    Field `SHARD` holds JSON: the shard's totals since the workspace began (see live_totals.py). Totals are
    absolute, so writing them twice changes nothing.
    """
    return f"postmeter:live:{{{workspace}}}"


WATCHED = "postmeter:watched"
"""Sorted set: workspaces whose events somebody is watching, and until when (seconds of Redis' own clock)."""


def live_events(workspace: int) -> str:
    """Stream: a watched workspace's last events (stream/live_events.py)."""
    return f"postmeter:live:{{{workspace}}}:events"


def limit(workspace: int, kind: Limit) -> str:
    """String: when a workspace has all of a limit free again (see the gateway's limits.py)."""
    return f"postmeter:limit:{{{workspace}}}:{kind.value}"


def sign_in(name: str) -> str:
    """String: when an account or an address, by its hash, has all its tries free again (the gateway's throttle.py)."""
    return f"postmeter:signin:{{{name}}}"


def known_sign_in(name: str) -> str:
    """String, kept 30 days: somebody at an address has signed in to an account, both by their hash."""
    return f"postmeter:signin:{{{name}}}:known"


def token_seen(source: str, token: bytes) -> str:
    """String, kept as long as the token is good: the digest of what a webhook's source signed with it."""
    return f"postmeter:token:{{{source}}}:{token.hex()}"


def source_log(source: str, kind: str) -> str:
    """List: what a webhook's source brought last, the latest first (source_log.py)."""
    return f"postmeter:source:{{{source}}}:{kind}"


def purchase_answer(workspace: int, event_id: str) -> str:
    """String, kept a minute: JSON of what became of a purchase (conversions.Attribution), written when known."""
    return f"postmeter:purchase:{{{workspace}}}:{event_id}"


def event_seen(workspace: int, key: bytes) -> str:
    """String, kept a day: the digest of an event known under this idempotency key."""
    return f"postmeter:seen:{{{workspace}}}:{key.hex()}"


def events_seen(workspace: int, day: int) -> str:
    """String, kept two days: how many of these were kept that day, counted since 1970."""
    return f"postmeter:seen:{{{workspace}}}:{day}"
