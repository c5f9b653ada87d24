"""`POST /v1/webhooks/{provider}/{source}`: verified, read, appended; answered once it is in the streams."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence

import msgspec
from redis.asyncio import Redis

from postmeter.shared.apis.mail.webhooks import DeliveryAnswer, RejectedItem
from postmeter.shared.errors import RequestError
from postmeter.shared.process import logs
from postmeter.shared.storage import sources
from postmeter.shared.stream import source_log
from postmeter.shared.stream.records import Event
from postmeter.shared.stream.streams import slot_of_event
from postmeter.shared.text import quoting
from postmeter.tracking.durable import outgoing
from postmeter.tracking.durable.batch import Keyed
from postmeter.tracking.durable.committer import Committer
from postmeter.tracking.metrics import TrackingMetrics
from postmeter.tracking.recipients.mailboxes import Mailboxes
from postmeter.tracking.settings import TrackingSettings
from postmeter.tracking.webhooks import events, items
from postmeter.tracking.webhooks.provider import Delivery, ItemUnreadable, Provider, Reading, WebhookSource
from postmeter.tracking.webhooks.providers import PROVIDERS
from postmeter.tracking.webhooks.tokens import Tokens

SOURCES = 1000
"""How many sources have a label of their own in the metrics of a process."""
OTHER = "other"
TURN_WORK = 32 << 10
"""Bytes of items that are read before hits have their turn; of each item ITEM_WORK more, however small it is."""
ITEM_WORK = 600
REASON_CHARS = 300
"""Characters of why an item could not be read, in the answer to its provider."""


class Webhooks:
    """Takes deliveries of the sources that the gateway has found."""

    def __init__(
        self,
        settings: TrackingSettings,
        committer: Committer,
        redis: Redis,
        metrics: TrackingMetrics,
        mailboxes: Mailboxes,
    ) -> None:
        self._committer = committer
        self._redis = redis
        self._tokens = Tokens(redis)
        self._metrics = metrics
        self._labelled: set[str] = set()
        for name, outcome in itertools.product(PROVIDERS, ("event", "unreadable", "refused")):
            metrics.webhooks.labels(name, outcome)
        self._source_key = settings.source_key
        self._mailboxes = mailboxes
        self._base_url = settings.public_gateway_url.rstrip("/")

    async def take(self, passed: sources.SealedSource, headers: Mapping[str, str], body: bytes) -> DeliveryAnswer:
        """Take one delivery. Raises RequestError 400, 401, 404, 503."""
        provider = PROVIDERS.get(passed.provider)
        if provider is None:
            raise RequestError(404, "NOT_FOUND", "There is no such webhook.")
        if self._source_key is None:
            raise RequestError(503, "UNAVAILABLE", "Webhooks are not taken here: POSTMETER_SOURCE_KEY is not set.")
        source = WebhookSource(
            id=passed.id,
            workspace=passed.workspace,
            provider=passed.provider,
            secret=sources.decrypt(passed.secret, self._source_key),
            options=passed.options,
        )
        url = f"{self._base_url}/v1/webhooks/{passed.provider}/{passed.id}"
        delivery = Delivery(body, headers, url, events.now())
        try:
            await provider.verify(delivery, source)
            if provider.once is not None:
                await self._tokens.claim(source, *provider.once(delivery))
        except RequestError as error:
            if error.status == 401:
                self._metrics.webhooks.labels(provider.slug, "refused").inc()
                self._count(provider, source, "refused")
            raise
        self._count(provider, source, "taken")
        if provider.reply is not None and await provider.reply(delivery, source):
            await self.note(source.id, source_log.Delivery(delivery.received))
            return DeliveryAnswer(0, [])
        return await self._record(provider, source, delivery)

    async def note(self, source: str, delivery: source_log.Delivery, unread: Sequence[source_log.Unread] = ()) -> None:
        """Remember a delivery for whoever looks at its source; not while Redis is away."""
        if self._committer.redis_up:
            await source_log.note_delivery(self._redis, source, delivery, unread)

    async def _record(self, provider: Provider, source: WebhookSource, delivery: Delivery) -> DeliveryAnswer:
        outcome, taken, keyed = DeliveryAnswer(0, []), list[Event](), list[Keyed]()
        unread: list[source_log.Unread] = []
        work = 0
        for index, item in enumerate(provider.items(delivery)):
            work += len(item) + ITEM_WORK
            if work > TURN_WORK:
                await asyncio.sleep(0)
                work = 0
            try:
                found = read(provider, source, item, delivery.received)
            except ItemUnreadable as error:
                outcome.rejected.append(RejectedItem(index, "UNREADABLE", quoting.clean(str(error), REASON_CHARS)))
                unread.append(source_log.Unread.of(delivery.received, str(error), item))
                refusal = outgoing.refusal(
                    delivery.received, source.workspace, f"webhook {source.id}", str(error), item
                )
                keyed.append((None, refusal))
            else:
                taken += found
        domains = (event.mail.to_domain for event in taken if event.mail and not event.message)
        await self._mailboxes.prepare(source.workspace, domains)
        for index, event in enumerate(taken):
            keyed.append((slot_of_event(event), outgoing.event(self._named(event))))
            if index % 50 == 49:
                await asyncio.sleep(0)
        outcome.accepted = len(taken)
        await self._committer.append(keyed)
        seen = source_log.Delivery(delivery.received, outcome.accepted, len(outcome.rejected))
        await self.note(source.id, seen, unread)
        self._metrics.webhooks.labels(provider.slug, "event").inc(outcome.accepted)
        if outcome.rejected:
            self._metrics.webhooks.labels(provider.slug, "unreadable").inc(len(outcome.rejected))
            first = outcome.rejected[0]
            logs.get().warning("webhook items put aside", source=source.id, items=len(outcome.rejected), first=first)
        return outcome

    def _count(self, provider: Provider, source: WebhookSource, outcome: str) -> None:
        """Count a delivery by its source. A source's series begin together, at 0, with its first delivery."""
        counter, name = self._metrics.webhook_deliveries, source.id
        if name not in self._labelled:
            name = name if len(self._labelled) < SOURCES else OTHER
            self._labelled.add(name)
            for known in ("taken", "refused"):
                counter.labels(provider.slug, name, known)
        counter.labels(provider.slug, name, outcome).inc()

    def _named(self, event: Event) -> Event:
        """The event with its recipient's mailbox provider, as far as that is known."""
        mail = event.mail
        if mail is None or not (named := self._mailboxes.of(mail.to_domain)):
            return event
        return msgspec.structs.replace(event, mail=msgspec.structs.replace(mail, mailbox_provider=named))


def read(provider: Provider, source: WebhookSource, item: bytes, received: int) -> list[Event]:
    """The events of one item. Raises ItemUnreadable, also for what the provider's module did not expect."""
    if len(item) > items.ITEM_BYTES:
        raise ItemUnreadable(f"it has more than {items.ITEM_BYTES} bytes")
    try:
        readings = _readings(provider, item)
    except ItemUnreadable:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ItemUnreadable(str(error)) from None
    except Exception as error:  # a fault of ours must not cost the other items of the delivery
        logs.get().error("a webhook's item was not understood", provider=provider.slug, exc_info=error)
        raise ItemUnreadable(f"not understood: {type(error).__name__}") from None
    return [events.event_of(reading, item, place, provider, source, received) for place, reading in enumerate(readings)]


def _readings(provider: Provider, item: bytes) -> list[Reading]:
    try:
        return provider.read(item)
    except (msgspec.DecodeError, UnicodeDecodeError):
        mended = items.mended(item)
        if mended == item:
            raise
        return provider.read(mended)
