"""The providers' names of messages, learnt from events that carry both our id and the provider's.

Who registers before sending cannot know what the provider will call the message; some of what the provider tells later
has no other name for it.
"""

from __future__ import annotations

from asyncpg.pgproto.pgproto import UUID

from postmeter.aggregator import unregistered
from postmeter.aggregator.messages import Key
from postmeter.shared.postgres import Connection
from postmeter.shared.sql import Queries

_QUERIES = Queries("postmeter.aggregator", "names.sql")

Names = dict[Key, tuple[str, str]]
"""By message, its provider and what that calls it."""


async def learn(connection: Connection, names: Names) -> None:
    """Remember the names of messages that have none, whose locks the caller has (ADR 0010). The first one stays."""
    if not names:
        return
    rows = [(workspace, UUID(message), *name) for (workspace, message), name in sorted(names.items())]
    learnt = await connection.fetch(_QUERIES["learn"], *zip(*rows, strict=True))
    # What was counted of a message that was made under that name is to be moved (ADR 0020).
    await unregistered.notice(
        connection, [(row["workspace"], row["provider"], row["provider_message"]) for row in learnt]
    )
