"""The core's named statements as functions on the simulated tables. One that is not here fails, loudly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asyncpg.pgproto.pgproto import UUID

from postmeter.shared.storage.sql import name_of
from tests.simulation.postgres.store import Store, Transaction

Rows = list[dict[str, Any]]
Statement = Callable[..., Any]
BY_NAME: dict[str, Statement] = {}


class Unknown(Exception):
    """A statement that nobody has modelled."""


def statement(work: Statement) -> Statement:
    """A statement by its name. It is given the transaction, the text and the parameters; returns rows, or nothing."""
    BY_NAME[work.__name__.rstrip("_")] = work
    return work


def run(transaction: Transaction, kind: str, text: str, given: tuple[Any, ...]) -> Rows:
    """The rows that a statement, or a COPY, returns. Raises Wait, Unknown, and what Postgres raises."""
    work = BY_NAME.get(f"copy_{text}" if kind == "copy" else name_of(text))
    if work is None:
        raise Unknown(f"statement {name_of(text) or text[:80]!r} is not modelled in tests/simulation/postgres")
    return work(transaction, text, *given) or []


def fill(store: Store) -> None:
    """What migrations have made."""
    from tests.simulation.postgres import counts, history, leases, messages  # noqa: F401  (they register their statements)

    store.tables["slot"] = {slot: {"slot": slot, "writer": ""} for slot in range(256)}


def ident(message: UUID) -> bytes:
    """A message's 16 bytes."""
    return bytes(message.bytes)
