"""Sessions of the simulated Postgres: one statement after the other, waiting for locks, and circles that are cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import asyncpg

from tests.simulation.loop import OUTSIDE, Loop
from tests.simulation.network import Wire
from tests.simulation.postgres import statements
from tests.simulation.postgres.store import Place, Store, Transaction, Wait

STATEMENT_SECONDS = 1.5
"""After which a statement that waits is ended. The product says 20; here everything is ten times as fast."""
IDLE_SECONDS = 3.0
"""After which a transaction is ended whose client says nothing."""


class Ask(NamedTuple):
    """What a client sends. kind: run, copy, or begin, commit, rollback, savepoint, release, rollback_to."""

    number: int
    kind: str
    text: str = ""
    given: tuple[Any, ...] = ()


class Postgres:
    """Its data outlive it; what was not committed does not."""

    def __init__(
        self,
        loop: Loop,
        clock: Callable[[], int],
        commits: Callable[[Transaction, dict[Place, Any]], None],
        unknown: Callable[[str], None],
    ) -> None:
        self.is_up = True
        self.loop = loop
        self.store = Store(clock, commits)
        self.unknown = unknown
        self.sessions: list[PostgresSession] = []
        statements.fill(self.store)

    def accept(self, connection: Wire) -> PostgresSession:
        session = PostgresSession(self, connection)
        self.sessions = [one for one in self.sessions if not one.is_closed]
        self.sessions.append(session)
        return session

    def stop(self) -> None:
        self.is_up = False
        for session in self.sessions:
            session.closed()


class PostgresSession:
    """One client's connection."""

    def __init__(self, server: Postgres, wire: Wire) -> None:
        self.is_closed = False
        self._server = server
        self._wire = wire
        self._queue: list[Ask] = []
        self._block: Transaction | None = None
        """What BEGIN has begun."""
        self._single: Transaction | None = None
        """Of a statement outside of one, while it waits."""
        self._savepoints: list[dict[str, Any]] = []
        self._has_failed = False
        self._waits: Ask | None = None
        self._idle_since = 0.0

    def received(self, ask: Ask) -> None:
        if not self.is_closed:
            self._queue.append(ask)
            self._go_on()

    def closed(self) -> None:
        """The client has gone, or the server: what is open is rolled back."""
        self.is_closed = True
        self._waits = None
        open_now = self._block or self._single
        self._block = self._single = None
        if open_now is not None:
            self._done_waiting(open_now)
            open_now.roll_back()

    def _go_on(self) -> None:
        while self._queue and self._waits is None and not self.is_closed:
            self._serve(self._queue.pop(0))

    def _serve(self, ask: Ask) -> None:
        self._idle_since = self._server.loop.now
        try:
            answer = None
            if ask.kind in ("run", "copy"):
                answer = self._statement(ask)
            else:
                self._control(ask)
        except Wait as wait:
            self._wait(ask, wait.holder)
        except asyncpg.PostgresError as error:
            self._fail(ask, error)
        else:
            self._wire.answer((ask.number, answer))
            if ask.kind == "begin":
                self._server.loop.call_later(IDLE_SECONDS, self._look_idle, context=OUTSIDE)

    def _control(self, ask: Ask) -> None:
        kind, block = ask.kind, self._block
        if kind == "begin":
            self._block = Transaction(self._server.store, self._wire.process.name)
        elif block is None:
            return
        elif kind in ("commit", "rollback"):
            failed = self._has_failed
            self._block, self._has_failed, self._savepoints = None, False, []
            if kind == "commit" and not failed:
                block.commit()
            else:
                block.roll_back()
        elif kind == "savepoint":
            self._savepoints.append(block.copy())
        elif kind == "release":
            self._savepoints.pop()
        else:
            block.changed, self._has_failed = self._savepoints.pop(), False

    def _statement(self, ask: Ask) -> Any:
        if self._has_failed:
            raise asyncpg.InFailedSQLTransactionError("current transaction is aborted")
        transaction = self._block or self._single or Transaction(self._server.store, self._wire.process.name)
        if self._block is None:
            self._single = transaction
        before, moved = transaction.copy(), len(transaction.moved)
        try:
            found = statements.run(transaction, ask.kind, ask.text, ask.given)
        except BaseException as error:
            transaction.changed = before
            del transaction.moved[moved:]
            if isinstance(error, statements.Unknown):
                self._server.unknown(str(error))
                raise asyncpg.FeatureNotSupportedError(str(error)) from error
            if not isinstance(error, Wait | asyncpg.PostgresError):
                self._server.unknown(f"{ask.text[:60]}: {error!r}")
                raise asyncpg.InternalServerError(repr(error)) from error
            raise
        self._done_waiting(transaction)
        if self._block is None:
            self._single = None
            transaction.commit()
        return found

    def _wait(self, ask: Ask, holder: Transaction) -> None:
        transaction = self._block or self._single
        assert transaction is not None
        transaction.waits_for = holder
        other: Transaction | None = holder
        while other is not None:
            if other is transaction:
                self._fail(ask, asyncpg.DeadlockDetectedError("deadlock detected"))
                return
            other = other.waits_for
        if transaction not in self._server.store.looking:
            self._server.store.looking.append(transaction)
            self._server.loop.call_later(STATEMENT_SECONDS, self._give_up, ask, context=OUTSIDE)
        self._waits = ask
        holder.ends.append(lambda: self._again(ask))

    def _again(self, ask: Ask) -> None:
        if self._waits is ask:
            self._waits = None
            transaction = self._block or self._single
            assert transaction is not None
            transaction.waits_for = None
            self._serve(ask)
            self._go_on()

    def _give_up(self, ask: Ask) -> None:
        if self._waits is ask:
            self._waits = None
            self._fail(ask, asyncpg.QueryCanceledError("canceling statement due to statement timeout"))
            self._go_on()

    def _fail(self, ask: Ask, error: asyncpg.PostgresError) -> None:
        transaction = self._block or self._single
        if transaction is not None:
            self._done_waiting(transaction)
        if self._block is not None:
            self._has_failed = True
        elif self._single is not None:
            single, self._single = self._single, None
            single.roll_back()
        self._wire.answer((ask.number, error))

    def _done_waiting(self, transaction: Transaction) -> None:
        transaction.waits_for = None
        transaction.seen.clear()
        if transaction in self._server.store.looking:
            self._server.store.looking.remove(transaction)

    def _look_idle(self) -> None:
        if self._block is None or self.is_closed:
            return
        rest = self._idle_since + IDLE_SECONDS - self._server.loop.now
        if rest <= 0 and self._waits is None:
            self.closed()
            self._wire.cut("idle in transaction")
        else:
            self._server.loop.call_later(max(rest, 0.1), self._look_idle, context=OUTSIDE)
