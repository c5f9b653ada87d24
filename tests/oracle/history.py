"""What happened, told as a plain list of counted things: the base of every answer.

Nothing here is incremental: all records are looked at together, in no particular order.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from postmeter.shared.storage.thresholds import Thresholds
from postmeter.shared.stream.events import BounceType, EventType, State, Verdict
from postmeter.shared.stream.records import CampaignChange, Event, Hit, Record, Registration
from tests.company import Seen, company

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
# semantics.md: "queued < sending < sent < bounced (soft) < delivered < failed < bounced (hard) < complained".
STATES = {
    (EventType.QUEUED, 0): State.QUEUED,
    (EventType.SENDING, 0): State.SENDING,
    (EventType.SENT, 0): State.SENT,
    (EventType.BOUNCED, BounceType.SOFT): State.SOFT_BOUNCED,
    (EventType.DELIVERED, 0): State.DELIVERED,
    (EventType.FAILED, 0): State.FAILED,
    (EventType.BOUNCED, BounceType.HARD): State.HARD_BOUNCED,
    (EventType.COMPLAINED, 0): State.COMPLAINED,
}
COUNTED = {
    EventType.SENT: "sent",
    EventType.DEFERRED: "deferred",
    EventType.DELIVERED: "delivered",
    EventType.FAILED: "failed",
    EventType.COMPLAINED: "complained",
    EventType.UNSUBSCRIBED: "unsubscribed",
    EventType.REPLIED: "replies",
}
# privacy.md, "Levels", as registrations say them.
FULL, PSEUDONYMOUS, LAST_DATE, ANONYMOUS, OFF = range(5)
# semantics.md, "Unique and total": a message counts once for its whole life.
UNIQUES = {
    EventType.OPENED: "unique_opens",
    EventType.CLICKED: "unique_clicks",
    EventType.REPLIED: "unique_replies",
    EventType.UNSUBSCRIBED: "unique_unsubscribed",
}


@dataclass(frozen=True)
class Place:
    """What a counted thing belongs to. Empty text: none."""

    campaign: str = ""
    domain: str = ""
    provider: str = ""
    template: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Count:
    """`amount` of a native metric at one moment. link: the URL of a click; reason: a bounce's own words."""

    at: datetime
    metric: str
    amount: int
    place: Place
    link: str | None = None
    reason: str | None = None


@dataclass
class Message:
    """One registered message and what became of it."""

    record: Registration
    place: Place
    created: datetime
    state: State = State.QUEUED
    sent: datetime | None = None
    delivered: datetime | None = None
    first: dict[EventType, datetime] = field(default_factory=dict)
    history: list[tuple[datetime, EventType, Verdict | None]] = field(default_factory=list)


@dataclass(frozen=True)
class Happening:
    """One event, told or hit, of a message."""

    at: datetime
    type: EventType
    bounce: int = 0
    verdict: Verdict | None = None
    link: str = ""
    reason: str = ""
    agent: bytes = b""


def moment(at: int) -> datetime:
    """A record's time."""
    return EPOCH + timedelta(microseconds=at)


class History:
    """Everything of one workspace: its messages, and every counted thing with its moment."""

    def __init__(self, records: list[Record]) -> None:
        self.messages: dict[bytes, Message] = {}
        self.counts: list[Count] = []
        self.names: dict[str, str] = {}
        self.statuses: dict[str, str] = {}
        registrations = [r for r in records if isinstance(r, Registration)]
        for record in registrations:
            self.messages.setdefault(record.message, _message(record))
        self._name_campaigns([r for r in records if isinstance(r, Registration | CampaignChange)])
        happened = [(self.messages.get(one.message), _of_hit(one)) for one in records if isinstance(one, Hit)]
        for event in _told_once([r for r in records if isinstance(r, Event)]):
            if event.type == EventType.RECEIVED:
                self._received(event)
            else:
                happened.append((self._addressed(event), _of_event(event)))
        for message, one in _in_company(happened):
            self._happened(message, one)
        for message in self.messages.values():
            for kind, at in message.first.items():
                self.counts.append(Count(at, UNIQUES[kind], 1, message.place))

    def _name_campaigns(self, said: list[Registration | CampaignChange]) -> None:
        """What was said last of a campaign holds, whatever arrived last; saying nothing changes nothing."""
        for one in sorted(said, key=lambda r: r.at):
            name = one.campaign_name if isinstance(one, Registration) else one.name
            if one.campaign:
                self.names[one.campaign] = name or self.names.get(one.campaign, "")
            if isinstance(one, CampaignChange) and one.status is not None:
                self.statuses[one.campaign] = one.status

    def _addressed(self, event: Event) -> Message | None:
        """docs/api/events.md: `message_id` or `provider` + `provider_message_id`."""
        if event.message:
            return self.messages.get(event.message)
        for message in self.messages.values():
            named = message.record.provider_message
            if named and (message.record.provider, named) == (event.provider, event.provider_message):
                return message
        return None

    def _received(self, event: Event) -> None:
        """semantics.md, "Events": `received` inbound, with `size_bytes` and `spam`."""
        place = Place(domain=event.domain)
        for metric, amount in (("received", 1), ("spam", int(event.spam)), ("size_bytes", event.size_bytes)):
            self.counts.append(Count(moment(event.at), metric, amount, place))

    def _happened(self, message: Message | None, one: Happening) -> None:
        """An event of a message that was never registered counts nowhere."""
        if message is None:
            return
        level = _level(message.record, one.type)
        if level == OFF:
            return
        if level == PSEUDONYMOUS:
            one = replace(one, at=one.at.replace(minute=0, second=0, microsecond=0))
        if level in (LAST_DATE, ANONYMOUS):
            self._nobodys(message, one)
            return
        message.history.append((one.at, one.type, one.verdict))
        metric = _metric(one)
        if metric is not None:
            link = (one.link or None) if one.type is EventType.CLICKED else None
            reason = one.reason if one.type is EventType.BOUNCED else None
            self.counts.append(Count(one.at, metric, 1, message.place, link, reason))
        if one.type in UNIQUES and one.verdict is not Verdict.MACHINE:
            message.first[one.type] = min(message.first.get(one.type, one.at), one.at)
        if one.type is EventType.SENT:
            message.sent = one.at if message.sent is None else min(message.sent, one.at)
        if one.type is EventType.DELIVERED and message.record.opens in (FULL, PSEUDONYMOUS):
            # privacy.md: "delivered messages whose opens could be seen", such as carry our pixel.
            self.counts.append(Count(one.at, "trackable", int(message.record.tracks_opens), message.place))
        if one.type is EventType.DELIVERED:
            message.delivered = one.at if message.delivered is None else min(message.delivered, one.at)
        message.state = max(message.state, STATES.get((one.type, one.bounce), State.QUEUED))

    def _nobodys(self, message: Message, one: Happening) -> None:
        """privacy.md, "Levels": totals, and of the message nothing."""
        opened = one.type is EventType.OPENED
        link = None if opened else one.link or None
        self.counts.append(Count(one.at, _metric(one) or "", 1, message.place, link))
        if one.verdict is not Verdict.MACHINE:
            self.counts.append(Count(one.at, "anonymous_opens" if opened else "anonymous_clicks", 1, message.place))


def _level(record: Registration, kind: EventType) -> int:
    """privacy.md, "Levels", of opens and of clicks; nothing else has one."""
    return {EventType.OPENED: record.opens, EventType.CLICKED: record.clicks}.get(kind, FULL)


def _message(record: Registration) -> Message:
    place = Place(
        campaign=record.campaign,
        domain=record.from_domain,
        provider=record.provider,
        template=record.template,
        tags=tuple(sorted(set(record.tags))),
    )
    return Message(record, place, moment(record.created))


def _told_once(events: list[Event]) -> list[Event]:
    """docs/api/events.md: `id` is an idempotency key, per workspace; the same event under it again counts nothing."""
    keyed: dict[bytes, Event] = {}
    for event in events:
        if event.key:
            keyed.setdefault(event.key, event)
    return [event for event in events if not event.key] + list(keyed.values())


def _verdict(kind: EventType, user_agent: bytes, prefetch: bool) -> Verdict | None:
    """semantics.md, "Machine traffic"; docs/verdicts.md: Apple's privacy relay is `Mozilla/5.0` alone, on opens."""
    if kind not in (EventType.OPENED, EventType.CLICKED):
        return None
    if prefetch:
        return Verdict.MACHINE
    return Verdict.PROXY if kind is EventType.OPENED and user_agent == b"Mozilla/5.0" else Verdict.HUMAN


def _of_hit(hit: Hit) -> Happening:
    kind = EventType.CLICKED if hit.url else EventType.OPENED
    return Happening(
        moment(hit.at), kind, 0, _verdict(kind, hit.user_agent, hit.prefetch), hit.url, agent=hit.user_agent
    )


def _of_event(event: Event) -> Happening:
    kind = EventType(event.type)
    verdict = _verdict(kind, event.user_agent, False)
    return Happening(moment(event.at), kind, event.bounce, verdict, event.url, event.reason, event.user_agent)


def _in_company(happened: list[tuple[Message | None, Happening]]) -> Iterator[tuple[Message | None, Happening]]:
    """The same, with clicks that by the company they keep are a machine's (docs/verdicts.md)."""
    clicks: dict[int, list[Happening]] = {}
    for message, one in happened:
        if message is None or message.record.clicks != FULL:
            continue  # of less than everything no exact times are kept, by which company is told
        if one.type is EventType.CLICKED and one.verdict is Verdict.HUMAN:
            clicks.setdefault(id(message), []).append(one)
    for message, one in happened:
        mine = clicks.get(id(message), [])
        if message is not None and one in mine:
            delivered = [of.at for to, of in happened if to is message and of.type is EventType.DELIVERED]
            seen = [Seen((of.at - EPOCH) // MICROSECOND, of.link, of.agent) for of in mine]
            first = (min(delivered) - EPOCH) // MICROSECOND if delivered else None
            guilty = company(seen, message.record.links, first, Thresholds())
            if Seen((one.at - EPOCH) // MICROSECOND, one.link, one.agent) in guilty:
                yield message, replace(one, verdict=Verdict.MACHINE)
                continue
        yield message, one


def _metric(one: Happening) -> str | None:
    """The native metric that an event raises; `queued` and `sending` are states only."""
    if one.type is EventType.BOUNCED:
        return "hard_bounced" if one.bounce == BounceType.HARD else "soft_bounced"
    if one.verdict is not None:
        return f"{one.verdict.name.lower()}_{'opens' if one.type is EventType.OPENED else 'clicks'}"
    return COUNTED.get(one.type)
