"""`POST /v1/events`: takes what happened to messages, each event once under its idempotency key."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from datetime import UTC, datetime

import msgspec
from redis.asyncio import Redis

from postmeter.shared import logs
from postmeter.shared.errors import RequestError
from postmeter.shared.events import BounceType, EventType
from postmeter.shared.metrics import TrackingMetrics
from postmeter.shared.principal import Principal
from postmeter.shared.records import Event, encode, idempotency_key
from postmeter.shared.streams import event_seen, shard_of
from postmeter.tracking import bodies, fields
from postmeter.tracking.client import USER_AGENT_BYTES
from postmeter.tracking.committer import Committer
from postmeter.tracking.lane import FAILURES
from postmeter.tracking.messages import Rejected, rejected

MAX_EVENTS = 10_000
# How long a repetition is told as one; the aggregator's own memory is longer and decides.
SEEN_SECONDS = 86_400
_TYPES = {kind.name.lower(): kind for kind in EventType}
_BOUNCES = {kind.name.lower(): kind for kind in BounceType}


class EventBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One event as it is given."""

    type: str
    message_id: uuid.UUID | None = None
    provider: str | None = None
    provider_message_id: str | None = None
    timestamp: str | None = None
    id: str | None = None
    bounce_type: str | None = None
    reason: str | None = None
    url: str | None = None
    user_agent: str | None = None
    ip: str | None = None
    domain: str | None = None
    size_bytes: int | None = None
    spam: bool | None = None


class _List(msgspec.Struct, forbid_unknown_fields=True):
    events: list[msgspec.Raw]


class Outcome(msgspec.Struct):
    """What a batch is answered with."""

    accepted: int = 0
    duplicates: int = 0
    rejected: list[Rejected] = msgspec.field(default_factory=list)


_list_decoder = msgspec.json.Decoder(_List)
_event_decoder = msgspec.json.Decoder(EventBody)
_ONLY_RECEIVED = "type: a key that is confined to domains may write only received, of its own domains"
_conflict = ("IDEMPOTENCY_CONFLICT", "id: another event was sent under this idempotency key")


def items_of(body: bytes, content_type: str) -> list[bytes | msgspec.Raw]:
    """The events of a JSON body or of NDJSON (one per line, empty lines ignored). Raises RequestError 400."""
    items: list[bytes | msgspec.Raw]
    if content_type in ("application/x-ndjson", "application/ndjson", "application/jsonl"):
        items = [line for line in body.split(b"\n", MAX_EVENTS * 2) if line.strip()]
    else:
        items = list(bodies.decode(_list_decoder, body).events)
    if len(items) > MAX_EVENTS:
        raise RequestError(400, "TOO_MANY_ITEMS", f"events: at most {MAX_EVENTS} at once", "events")
    return items


class Events:
    """Takes events for a principal."""

    def __init__(self, committer: Committer, redis: Redis, metrics: TrackingMetrics, shards: int) -> None:
        self._committer = committer
        self._redis = redis
        self._metrics = metrics
        self._shards = shards

    async def take(self, principal: Principal, items: list[bytes | msgspec.Raw]) -> Outcome:
        """Accept what is valid and new.

        Raises RequestError 409 for a single event that conflicts, 403 if the key may write none of them, 503.
        """
        outcome = Outcome()
        forbidden: list[RequestError] = []
        fresh: dict[bytes, tuple[int, Event]] = {}
        keyless: list[Event] = []
        for index, item in enumerate(items):
            try:
                event = _event(principal, item)
            except RequestError as error:
                outcome.rejected.append(rejected(index, error))
                if error.status == 403:
                    forbidden.append(error)
                continue
            finally:
                if index % 50 == 49:
                    await asyncio.sleep(0)
            if not event.key:
                keyless.append(event)
            elif event.key not in fresh:
                fresh[event.key] = (index, event)
            else:
                _repeat(outcome, index, fresh[event.key][1].digest, event)
        if forbidden and len(forbidden) == len(items):
            raise forbidden[0]
        await self._leave_out_known(principal.workspace, fresh, outcome)
        if len(items) == 1 and outcome.rejected and outcome.rejected[0].code == _conflict[0]:
            raise RequestError(409, *_conflict, "id")
        events = [event for _, event in fresh.values()]
        await self._append(events, keyless)
        await self._remember(principal.workspace, events)
        outcome.accepted = len(events) + len(keyless)
        outcome.rejected.sort(key=lambda one: one.index)
        for label, count in (
            ("accepted", outcome.accepted),
            ("duplicate", outcome.duplicates),
            ("rejected", len(outcome.rejected)),
        ):
            self._metrics.events.labels(label).inc(count)
        return outcome

    async def _append(self, keyed: list[Event], keyless: list[Event]) -> None:
        by_shard: dict[int | None, list[bytes]] = {}
        for event in keyed:
            by_shard.setdefault(shard_of(event.key, self._shards), []).append(encode(event))
        if keyless:
            by_shard[None] = [encode(event) for event in keyless]
        await asyncio.gather(*(self._committer.append(encoded, shard) for shard, encoded in by_shard.items()))

    async def _leave_out_known(self, workspace: int, fresh: dict[bytes, tuple[int, Event]], outcome: Outcome) -> None:
        """Without Redis everything passes as new: the aggregator then finds the repetitions."""
        if not fresh or not self._committer.redis_up:
            return
        keys = list(fresh)
        try:
            known = await self._redis.mget([event_seen(workspace, key) for key in keys])
        except FAILURES as failure:
            logs.get().warning("idempotency keys not looked up", error=repr(failure))
            return
        for key, digest in zip(keys, known, strict=True):
            if digest is not None:
                index, event = fresh.pop(key)
                _repeat(outcome, index, digest, event)

    async def _remember(self, workspace: int, events: list[Event]) -> None:
        if not events or not self._committer.redis_up:
            return
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for event in events:
                    pipeline.set(event_seen(workspace, event.key), event.digest, ex=SEEN_SECONDS, nx=True)
                await pipeline.execute(raise_on_error=False)
        except FAILURES as failure:
            logs.get().warning("idempotency keys not kept", error=repr(failure))


def _repeat(outcome: Outcome, index: int, digest: bytes | str, event: Event) -> None:
    if digest == event.digest:
        outcome.duplicates += 1
    else:
        outcome.rejected.append(Rejected(index, *_conflict, "id"))


def _event(principal: Principal, item: bytes | msgspec.Raw) -> Event:
    """Check one event. Raises RequestError that names the field."""
    given = bodies.decode(_event_decoder, item)
    kind = _TYPES.get(given.type)
    if kind is None:
        raise RequestError(400, "UNKNOWN_TYPE", f"type: one of {', '.join(_TYPES)}", "type")
    if principal.domains is not None and kind is not EventType.RECEIVED:
        # Which domain a message is of stands in Postgres, where only the aggregator looks.
        raise RequestError(403, "FORBIDDEN", _ONLY_RECEIVED, "type")
    received = datetime.now(UTC)
    at, claimed = fields.timestamp("timestamp", given.timestamp, received)
    provider, provider_message, domain = _subject(principal, given, kind)
    key = fields.text("id", given.id, 200)
    if given.id is not None and not key:
        raise fields.invalid("id", "must not be empty")
    agent = fields.text("user_agent", given.user_agent, 1 << 20).encode()[:USER_AGENT_BYTES]
    size = given.size_bytes or 0
    if not 0 <= size < 1 << 53:
        raise fields.invalid("size_bytes", "takes 0 or more bytes")
    return Event(
        at=at,
        received=fields.micros(received),
        workspace=principal.workspace,
        type=kind,
        message=given.message_id.bytes if given.message_id else b"",
        provider=provider,
        provider_message=provider_message,
        key=idempotency_key(principal.workspace, key) if key else b"",
        digest=_digest(given),
        bounce=_bounce(given, kind),
        reason=fields.text("reason", given.reason, 1000),
        url=fields.text("url", given.url, 8192),
        user_agent=agent,
        ip=fields.ip("ip", given.ip),
        domain=domain,
        size_bytes=size,
        spam=bool(given.spam),
        claimed=claimed,
    )


def _subject(principal: Principal, given: EventBody, kind: EventType) -> tuple[str, str, str]:
    """(provider, provider's message id, domain): what the event happened to, beside message_id."""
    provider = fields.text("provider", given.provider, 50).strip().upper()
    provider_message = fields.text("provider_message_id", given.provider_message_id, 500)
    domain = fields.domain("domain", given.domain) if given.domain is not None else ""
    if kind is EventType.RECEIVED:
        if not domain:
            raise fields.invalid("domain", "is required for received")
        if principal.domains is not None and domain not in principal.domains:
            raise RequestError(403, "FORBIDDEN", "domain: this key is not for that domain", "domain")
    elif given.message_id is None and not (provider and provider_message):
        raise fields.invalid("message_id", "is required, or provider with provider_message_id")
    return provider, provider_message, domain


def _bounce(given: EventBody, kind: EventType) -> int:
    if kind is not EventType.BOUNCED:
        return 0
    bounce = _BOUNCES.get(given.bounce_type or "")
    if bounce is None:
        raise fields.invalid("bounce_type", "is required for bounced: hard or soft")
    return bounce


def _digest(given: EventBody) -> bytes:
    """8 bytes that tell a repetition from another event: of what was given, in any order and spacing."""
    return hashlib.blake2b(msgspec.json.encode(given), digest_size=8).digest()
