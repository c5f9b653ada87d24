"""The core's named statements as functions on the simulated tables. One that is not here fails, loudly.

So does one whose text is not what it was when somebody last saw that its function does the same: modelled.txt
has a digest of each text. `python -m tests.simulation --note` writes it anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from asyncpg.pgproto.pgproto import UUID

from postmeter.shared.storage.sql import name_of
from tests.simulation.postgres.store import Store, Transaction

Rows = list[dict[str, Any]]
Statement = Callable[..., Any]
BY_NAME: dict[str, Statement] = {}
MODELLED = Path(__file__).with_name("modelled.txt")


class Unknown(Exception):
    """A statement that nobody has modelled, or that has changed since."""


class Notes:
    """Which texts are modelled, by name and digest; of several texts under one name each."""

    def __init__(self) -> None:
        self.known = {(name, digest) for name, digest in map(str.split, MODELLED.read_text().splitlines())}
        self.names = {name for name, _ in self.known}
        self.asked: set[tuple[str, str]] | None = None
        """Where they are noted anew: those asked for; nothing is refused then."""

    def look(self, text: str) -> None:
        """Raise Unknown where another text was modelled under its name. A name never noted was modelled just now."""
        if self.asked is not None:
            self.asked.add(_note(text))
        elif _note(text) not in self.known and name_of(text) in self.names:
            raise Unknown(
                f"the text of statement {name_of(text)!r} is not what its function was written for:"
                " see whether that does the same, then run `python -m tests.simulation --note`"
            )

    def write(self) -> None:
        """Those asked for are modelled; so are those of names that nobody asked for."""
        assert self.asked is not None
        names = {name for name, _ in self.asked}
        kept = self.asked | {(name, digest) for name, digest in self.known if name not in names}
        MODELLED.write_text("".join(f"{name} {digest}\n" for name, digest in sorted(kept)))


@lru_cache(1024)
def _note(text: str) -> tuple[str, str]:
    return name_of(text), hashlib.sha256(text.encode()).hexdigest()[:16]


notes = Notes()


def statement(work: Statement) -> Statement:
    """A statement by its name. It is given the transaction, the text and the parameters; returns rows, or nothing."""
    BY_NAME[work.__name__.rstrip("_")] = work
    return work


def run(transaction: Transaction, kind: str, text: str, given: tuple[Any, ...]) -> Rows:
    """The rows that a statement, or a COPY, returns. Raises Wait, Unknown, and what Postgres raises."""
    work = BY_NAME.get(f"copy_{text}" if kind == "copy" else name_of(text))
    if work is None:
        raise Unknown(f"statement {name_of(text) or text[:80]!r} is not modelled in tests/simulation/postgres")
    if kind != "copy":
        notes.look(text)
    return work(transaction, text, *given) or []


def fill(store: Store) -> None:
    """What migrations have made."""
    from tests.simulation.postgres import counts, history, leases, messages  # noqa: F401  (they register their statements)

    store.tables["slot"] = {slot: {"slot": slot, "writer": ""} for slot in range(256)}


def ident(message: UUID) -> bytes:
    """A message's 16 bytes."""
    return bytes(message.bytes)
