"""Answers that are kept until their workspace changes, or the clock makes them outdated (ADR 0046)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from postmeter.query.bounded_store import Store
from postmeter.query.cache import questions
from postmeter.query.cache.questions import Hand, Question, Reader
from postmeter.query.cache.versions import Versions
from postmeter.query.metrics import AnswerMetrics
from postmeter.query.requests.handler import Asked, Clock

T = TypeVar("T")


@dataclass
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    waiting: int = 0


class Flights(Generic[T]):
    """Computations under way, by what they compute: whoever asks the same meanwhile shares them. One is cancelled when
    nobody waits for it any more.
    """

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight[T]] = {}

    def __contains__(self, key: Hashable) -> bool:
        return key in self._flights

    async def join(self, key: Hashable, compute: Callable[[], Awaitable[T]]) -> T:
        """What the computation under way for the key gives or raises; where there is none, `compute` begins."""
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.ensure_future(_run(compute)))
            flight.task.add_done_callback(lambda _: self._forget(key, flight))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not flight.waiting:
                self._forget(key, flight)  # whoever asks next does not join what is being cancelled
                flight.task.cancel()

    def _forget(self, key: Hashable, flight: _Flight[T]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]


async def _run(compute: Callable[[], Awaitable[T]]) -> T:
    return await compute()


class KeptAnswer(NamedTuple):
    """The body of a successful answer, and its entity tag."""

    body: bytes
    tag: str


Compute = Callable[[], Awaitable[KeptAnswer]]


class Cache:
    """The kept answers of one process. Without memory each question is computed for itself, and no version is read."""

    def __init__(self, versions: Versions, clock: Clock, most: int, metrics: AnswerMetrics) -> None:
        """most: bytes of all answers that are kept."""
        self._versions = versions
        self._clock = clock
        self._most = most
        self._store = Store[tuple[Hand, KeptAnswer]](most)
        self._flights = Flights[KeptAnswer]()
        self._metrics = metrics

    async def answer(self, clock: Reader, asked: Asked, compute: Compute) -> KeptAnswer:
        """The answer to a request: a kept one, or what `compute` gives, also to others who ask the same of the same
        version meanwhile. clock: how the answer depends on it. Raises what `compute` raises; a failure is not kept.

        The version is read before anything is computed: an answer may be newer than what it is kept under, never older.
        """
        if not self._most:
            return await compute()
        question = questions.of(asked.request, await asked.read(), asked.principal, self._clock(), clock)
        if question is None:
            self._metrics.answers.labels("unkept").inc()
            return await compute()
        workspace = asked.scope.workspace
        try:
            version = await self._versions.of(workspace)
        except TimeoutError:  # a slow database is not a reason to answer nothing
            self._metrics.answers.labels("unkept").inc()
            return await compute()
        kept = self._store.get(workspace, version, question.digest)
        if kept is not None and kept[0] == question.hand:
            self._metrics.answers.labels("hit").inc()
            return kept[1]
        key = workspace, version, question
        self._metrics.answers.labels("joined" if key in self._flights else "miss").inc()
        return await self._flights.join(key, lambda: self._compute(workspace, version, question, compute))

    async def _compute(self, workspace: int, version: int, question: Question, compute: Compute) -> KeptAnswer:
        answer = await compute()
        entry = question.hand, answer
        self._metrics.evicted.inc(self._store.put(workspace, version, question.digest, entry, len(answer.body)))
        self._metrics.bytes.set(self._store.bytes)
        return answer
