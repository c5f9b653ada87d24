"""The audit log: who changed what of a workspace. Entries are added, never changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import Any

import asyncpg
import msgspec
from prometheus_client import CollectorRegistry, Counter

from postmeter.shared.auth.principal import Principal
from postmeter.shared.storage.postgres import Connection, Pool, transaction
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.shared.privacy", "audit.sql")
_USER = "user:"
"""What the key_id of a principal that is a user begins with."""
COMMAND = "command"
"""The actor of what is done by a command, on the host."""
RECIPIENT = "recipient"
"""The actor of what a reader does on their own preferences page."""


class Action(StrEnum):
    """What is worth an entry."""

    PRIVACY_CHANGED = "privacy.changed"
    VERDICTS_CHANGED = "verdicts.changed"
    SENDING_IPS_ADDED = "sending_ips.added"
    SENDING_IPS_REMOVED = "sending_ips.removed"
    KEY_CREATED = "key.created"
    KEY_REVOKED = "key.revoked"
    USER_CREATED = "user.created"
    USER_CHANGED = "user.changed"
    USER_REMOVED = "user.removed"
    SOURCE_CREATED = "source.created"
    SOURCE_CHANGED = "source.changed"
    SOURCE_REVOKED = "source.revoked"
    RECIPIENT_ERASED = "recipient.erased"
    RECIPIENT_EXPORTED = "recipient.exported"


_ENTRIES = Counter(
    "postmeter_audit_entries_total",
    "Entries of the audit log that this process has written, by action (docs/api/privacy.md).",
    ("action",),
    registry=None,
)
for _action in Action:
    _ENTRIES.labels(_action.value)


_uncommitted: ContextVar[list[Action] | None] = ContextVar("uncommitted", default=None)
"""Entries of the change that is being made."""


class AuditMetrics:
    """Of the audit log, in the gateway, tracking-service and query-service."""

    def __init__(self, to: CollectorRegistry) -> None:
        to.register(_ENTRIES)


def actor_of(caller: Principal) -> str:
    """Who is named in an entry: `key:ID` or `user:ID`."""
    return caller.key_id if caller.key_id.startswith(_USER) else f"key:{caller.key_id}"


@asynccontextmanager
async def change(connection: Connection) -> AsyncIterator[None]:
    """A transaction, or a part of one, that leaves entries: they are counted once it is committed."""
    around, entries = _uncommitted.get(), list[Action]()
    token = _uncommitted.set(entries)
    try:
        async with transaction(connection):
            yield
    finally:
        _uncommitted.reset(token)
    if around is None:
        _count(entries)
    else:
        around += entries


async def record(
    connection: Connection | Pool,
    workspace: int | str,
    actor: str,
    action: Action,
    target: str,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Add an entry, in the transaction of what was done, if that is one; it is a `change` then.

    workspace: its number, or its public id. actor: `actor_of` a caller, COMMAND or RECIPIENT. target: the id or name of
    what it was done to; empty: the workspace's own. details: what is JSON, and neither secret nor address nor hash of
    one.
    """
    entries = _uncommitted.get()
    if entries is None and not isinstance(connection, asyncpg.Pool):
        assert not connection.is_in_transaction(), "an entry in a transaction that changes nothing"
    query = _QUERIES["record" if isinstance(workspace, int) else "record_by_id"]
    packed = msgspec.json.encode(details or {}).decode()
    await connection.execute(query, workspace, actor, action.value, target, packed)
    if entries is None:
        _count([action])
    else:
        entries.append(action)


def _count(entries: list[Action]) -> None:
    for action in entries:
        _ENTRIES.labels(action.value).inc()
