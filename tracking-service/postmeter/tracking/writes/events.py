"""`POST /v1/events`: takes what happened to messages, each event once under its idempotency key."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
from aiohttp import web
from redis.asyncio import Redis

from postmeter.shared.apis.codes import Code
from postmeter.shared.apis.endpoint import Endpoint
from postmeter.shared.apis.mail.events import EventsAnswer, Rejected
from postmeter.shared.auth.principal import Principal
from postmeter.shared.errors import RequestError
from postmeter.shared.http import failures
from postmeter.shared.http.answerer import Asked
from postmeter.shared.http.answers import json
from postmeter.shared.process import logs
from postmeter.shared.stream.records import Event
from postmeter.shared.stream.redis_clients import FAILURES
from postmeter.shared.stream.streams import event_seen, events_seen, slot_of_event
from postmeter.tracking.durable import outgoing
from postmeter.tracking.durable.batch import Keyed
from postmeter.tracking.durable.committer import Committer
from postmeter.tracking.metrics import TrackingMetrics
from postmeter.tracking.requests import fields
from postmeter.tracking.requests.lists import rejected
from postmeter.tracking.writes import event_batch, event_body
from postmeter.tracking.writes.event_batch import Item

# How long a repetition is told as one; the aggregator's own memory is longer and decides what counts.
SEEN_SECONDS = 86_400
MOST_SEEN = 500_000
"""Of one workspace in a day. Each takes 150 bytes of Redis, which hits need: where it is full they go to the spool, and
then nowhere. Repetitions of further ones count once as well; they are only not told as such.
"""

MOST_KEPT = 100
"""Items of one request that could not be read and are put aside; all are reported."""
KEPT_BYTES = 4096
"""What is kept of such an item."""
_conflict: tuple[Code, str] = ("IDEMPOTENCY_CONFLICT", "id: another event was sent under this idempotency key")


@dataclass
class _Reading:
    """A request's items. keyed: by idempotency key, the first one of each with its index. refusals: encoded."""

    keyed: dict[bytes, tuple[int, Event]] = field(default_factory=dict)
    keyless: list[Event] = field(default_factory=list)
    refusals: list[bytes] = field(default_factory=list)
    forbidden: list[RequestError] = field(default_factory=list)


class Events:
    """Takes events for a principal."""

    def __init__(self, committer: Committer, redis: Redis, metrics: TrackingMetrics) -> None:
        self._committer = committer
        self._redis = redis
        self._metrics = metrics

    async def handle(self, asked: Asked) -> web.Response:
        """POST /v1/events: takes events, as JSON or NDJSON."""
        items = event_batch.items_of(await asked.text(), asked.request.content_type)
        return json(await self._take(asked.principal, items, asked.endpoint), asked.endpoint.status)

    async def _take(self, principal: Principal, items: list[Item], endpoint: Endpoint) -> EventsAnswer:
        """Accept what is valid and new.

        Raises RequestError 409 for a single event that conflicts, 403 if the key may write none of them, 503.
        """
        outcome = EventsAnswer(0, 0, [])
        read = await _read(principal, items, outcome, endpoint)
        fresh, keyless = read.keyed, read.keyless
        if read.forbidden and len(read.forbidden) == len(items):
            raise read.forbidden[0]
        again, room = await self._part_known(principal.workspace, fresh, outcome)
        if len(items) == 1 and outcome.rejected and outcome.rejected[0].code == _conflict[0]:
            raise RequestError(409, *_conflict, "id")
        events = [event for _, event in fresh.values()]
        keyed: list[Keyed] = [(None, refusal) for refusal in read.refusals]
        # Repetitions, too: a Postgres that was set back to a copy may not know what Redis does, and is told again.
        for number, event in enumerate((*events, *again, *keyless)):
            keyed.append((slot_of_event(event), outgoing.event(event)))
            if number % 50 == 49:  # hits have their turn: to mask one reason full of addresses takes long enough
                await asyncio.sleep(0)
        await self._committer.append(keyed)
        await self._remember(principal.workspace, events[:room])
        outcome.accepted = len(events) + len(keyless)
        outcome.rejected.sort(key=lambda one: one.index)
        for label, count in (
            ("accepted", outcome.accepted),
            ("duplicate", outcome.duplicates),
            ("rejected", len(outcome.rejected)),
        ):
            self._metrics.events.labels(label).inc(count)
        return outcome

    async def _part_known(
        self, workspace: int, fresh: dict[bytes, tuple[int, Event]], outcome: EventsAnswer
    ) -> tuple[list[Event], int]:
        """Those that were taken before, taken out of `fresh`; conflicts are taken out of both. And how many more of the
        workspace may be remembered today.

        Without Redis everything passes as new: the aggregator then finds the repetitions.
        """
        again: list[Event] = []
        if not fresh or not self._committer.redis_up:
            return again, 0
        keys = list(fresh)
        names = [events_seen(workspace, _today()), *(event_seen(workspace, key) for key in keys)]
        try:
            count, *known = await self._redis.mget(names)
        except FAILURES as failure:
            logs.get().warning("idempotency keys not looked up", error=logs.words(failure))
            return again, 0
        for key, digest in zip(keys, known, strict=True):
            if digest is not None:
                index, event = fresh.pop(key)
                _repeat(outcome, index, digest, event)
                if digest == event.digest:
                    again.append(event)
        return again, max(0, MOST_SEEN - int(count or 0))

    async def _remember(self, workspace: int, events: list[Event]) -> None:
        if not events or not self._committer.redis_up:
            return
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for event in events:
                    pipeline.set(event_seen(workspace, event.key), event.digest, ex=SEEN_SECONDS, nx=True)
                today = events_seen(workspace, _today())
                pipeline.incrby(today, len(events))
                pipeline.expire(today, 2 * SEEN_SECONDS)
                await pipeline.execute(raise_on_error=False)
        except FAILURES as failure:
            logs.get().warning("idempotency keys not kept", error=logs.words(failure))


def _today() -> int:
    return int(time.time()) // SEEN_SECONDS


async def _read(principal: Principal, items: list[Item], outcome: EventsAnswer, endpoint: Endpoint) -> _Reading:
    """Check each item; those that are not accepted are reported in `outcome`."""
    read = _Reading()
    for number, (index, item) in enumerate(items):
        if number % 50 == 49:
            await asyncio.sleep(0)
        try:
            event = event_body.read(principal, item)
        except failures.ANSWERABLE as refused:
            error = failures.answered(refused, endpoint)
            outcome.rejected.append(rejected(index, error))
            if error.status == 403:
                read.forbidden.append(error)
            elif len(read.refusals) < MOST_KEPT:
                read.refusals.append(_refusal(principal.workspace, item, error))
            continue
        if not event.key:
            read.keyless.append(event)
        elif event.key not in read.keyed:
            read.keyed[event.key] = (index, event)
        else:
            _repeat(outcome, index, read.keyed[event.key][1].digest, event)
    return read


def _refusal(workspace: int, item: bytes | msgspec.Raw, error: RequestError) -> bytes:
    """The dead letter of an item that could not be read."""
    now = fields.micros(datetime.now(UTC))
    return outgoing.refusal(now, workspace, "POST /v1/events", error.message, bytes(item), KEPT_BYTES)


def _repeat(outcome: EventsAnswer, index: int, digest: bytes | str, event: Event) -> None:
    if digest == event.digest:
        outcome.duplicates += 1
    else:
        outcome.rejected.append(Rejected(index, *_conflict, "id"))
