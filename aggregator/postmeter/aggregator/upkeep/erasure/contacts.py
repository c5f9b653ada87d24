"""What is kept of a recipient beside messages: purchases and custom events, choices, what waits or was put aside."""

from __future__ import annotations

from postmeter.aggregator.unregistered.waiting import unpacked
from postmeter.aggregator.upkeep.erasure import late
from postmeter.aggregator.upkeep.erasure.step import QUERIES, Erasure

MOST = 500
"""Rows of one step."""


async def clear(erasure: Erasure) -> bool:
    """Remove from purchases and custom events whose they are, once purchases are attributed; their sums stay."""
    cleared = await erasure.take("purchase", "clear_purchases", erasure.to_hash, MOST)
    cleared += await erasure.take("custom_event", "clear_custom_events", erasure.to_hash, MOST)
    if cleared:
        return False
    is_open = await erasure.connection.fetchval(
        QUERIES["has_open"], erasure.workspace, erasure.to_hash, erasure.requested_at
    )
    return not is_open


async def forget(erasure: Erasure) -> bool:
    """Remove what is kept under the recipient's hash. The proof of choices goes, too: now the erasure is the proof."""
    to_hash = erasure.to_hash
    await erasure.take("last_open", "take_last_open", to_hash)
    await erasure.take("recipient_choice", "take_choice", to_hash)
    proofs = await erasure.take("consent", "take_consent", to_hash, MOST)
    rows = await erasure.connection.fetch(QUERIES["take_waiting_of"], erasure.workspace, to_hash)
    if rows:
        erasure.removed["waiting"] += len(rows)
        await late.suspect(erasure.connection, [one for row in rows for one in unpacked([row["record"]]).records])
    await erasure.take("dead_letter", "take_dead_letters", [to_hash.encode()])
    return proofs < MOST
